// The public names of `selvedge/users`. Their contract and documentation are in types/users.d.ts.
export { usersFile } from './users-file'
