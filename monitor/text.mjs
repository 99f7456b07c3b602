// Texts from strangers, and numbers for people. Nothing here makes markup: a name is only ever text.

const MAX_SHOWN = 120
/** What would turn, hide or join the text around it: controls, marks of direction, characters without a width. */
const UNSEEN =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are to be shown
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb]|[\ufe00-\ufe0f]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/gu

/** Returns a text cut in the middle. */
export function shortened(text, most = MAX_SHOWN) {
  if (text.length <= most) return text
  const half = Math.floor((most - 1) / 2)
  return `${text.slice(0, half)}…${text.slice(-half)}`
}

/** Returns an element with a name in it that can do nothing to its surroundings. */
export function named(text, most = MAX_SHOWN) {
  const element = document.createElement('bdi')
  fill(element, shortened(text, most))
  if (text.length > most) element.title = `${text.length} characters`
  return element
}

/** Puts a text into an element; characters that cannot be seen stand in boxes. */
export function fill(element, text) {
  const parts = []
  let from = 0
  for (const { 0: character, index } of text.matchAll(UNSEEN)) {
    if (index > from) parts.push(text.slice(from, index))
    const box = document.createElement('span')
    box.className = 'unseen'
    box.textContent = `U+${character.codePointAt(0).toString(16).toUpperCase().padStart(4, '0')}`
    parts.push(box)
    from = index + character.length
  }
  parts.push(text.slice(from))
  element.replaceChildren(...parts)
}

const UNITS = ['', 'k', 'M', 'G', 'T', 'P']

/** `999`, `1.2k`, `34M`. */
export function amount(value) {
  let [left, unit] = [value, 0]
  while (left >= 999.5 && unit < UNITS.length - 1) {
    left /= 1000
    unit += 1
  }
  const isFraction = left < 9.95 && (unit > 0 || (left > 0 && left % 1 >= 0.05))
  return `${isFraction ? left.toFixed(1) : Math.round(left)}${UNITS[unit]}`
}

/** `12 kB`. */
export function bytes(value) {
  const text = amount(value)
  const unit = /[a-zA-Z]$/.exec(text)?.[0] ?? ''
  return `${unit === '' ? text : text.slice(0, -1)} ${unit}B`
}

/** `5s`, `12m`, `3h`, `9d`. */
export function age(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000))
  if (seconds < 120) return `${seconds}s`
  if (seconds < 7200) return `${Math.floor(seconds / 60)}m`
  if (seconds < 172_800) return `${Math.floor(seconds / 3600)}h`
  return `${Math.floor(seconds / 86_400)}d`
}

/** `12:03:44`. */
export function clock(ms) {
  return new Date(ms).toTimeString().slice(0, 8)
}

/** Makes an element with attributes and children: elements or texts. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value)
    else if (value !== undefined && value !== false) element.setAttribute(name, value === true ? '' : value)
  }
  element.append(...children)
  return element
}

/** A button. */
export function pressButton(text, act) {
  const button = make('button', { type: 'button', onclick: () => void act(button) }, text)
  return button
}

/** A button for what cannot be taken back: it asks once more, until it is left. */
export function sureButton(text, question, act) {
  const button = pressButton(text, () => {
    const isSure = button.textContent === question
    button.textContent = isSure ? text : question
    if (isSure) void act(button)
  })
  button.addEventListener('blur', () => {
    button.textContent = text
  })
  return button
}
