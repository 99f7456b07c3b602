// Begins the page. A browser does not ask again for a module that it could not load, so a part that the broker did not answer
// for (it limits how often one address asks) would leave a page that stands still: it is loaded again.

const PAUSE = 1000

import('./app.mjs').catch(error => {
  console.warn(error)
  const state = document.getElementById('state')
  state.textContent = 'no answer'
  state.className = 'pill bad'
  // One that was loaded and fails would fail again.
  if (error instanceof TypeError) setTimeout(() => location.reload(), PAUSE)
})
