// What a page does by itself when a server says so.
import { navigate, reload } from '../../lib/packets/socket/page'

const pageAt = (href: string) => ({
  location: { href, assign: jest.fn(), reload: jest.fn() },
  document: {},
})

test.each([
  ['https://other.example/x', 'https://other.example/x'],
  ['http://other.example/', 'http://other.example/'],
  ['/there?a=1#b', 'https://here.example/there?a=1#b'],
  ['there', 'https://here.example/a/there'],
  ['//other.example', 'https://other.example/'],
])('goes to %s', (url, target) => {
  const page = pageAt('https://here.example/a/b')
  expect(navigate(url, page)).toBe(true)
  expect(page.location.assign.mock.calls).toEqual([[target]])
})

test.each([
  'javascript:alert(1)',
  ' javascript:alert(1)',
  'JavaScript:alert(1)',
  'data:text/html,x',
  'file:///etc/passwd',
  'blob:https://here.example/1',
  'http://[',
])('does not go to %s', url => {
  const page = pageAt('https://here.example/a/b')
  expect(navigate(url, page)).toBe(false)
  expect(page.location.assign).not.toHaveBeenCalled()
})

test('reloads; and where there is no page does neither', () => {
  const page = pageAt('https://here.example/')
  expect(reload(page)).toBe(true)
  expect(page.location.reload).toHaveBeenCalledTimes(1)
  expect([navigate('/'), reload()]).toEqual([false, false])
})
