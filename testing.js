// For `require`, also by tools that do not read `exports`.
module.exports = require('./dist/testing/index.js')
