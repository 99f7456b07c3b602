// A header of `write` whose name and value are nearly those of an option: the process is warned, once for each name.
import { describeFabric } from '../support/fabrics'
import { pair } from '../support/sockets'

describeFabric('in-process', 'the second argument of write', fabric => {
  const emitWarning = jest.spyOn(process, 'emitWarning').mockImplementation(() => {})
  afterAll(() => emitWarning.mockRestore())

  /** What is warned of when this is written twice; it arrives as headers. */
  async function warned(headers: Record<string, unknown>): Promise<unknown[]> {
    const { server, socket } = await pair(fabric)
    emitWarning.mockClear()
    const arrived = new Promise(resolve => server.on('data', (_, headers) => resolve(headers)))
    socket.write(1, headers as Record<string, string>)
    socket.write(2, headers as Record<string, string>)
    expect(await arrived).toEqual(headers)
    return emitWarning.mock.calls.map(([text, options]) => [text, options])
  }

  test.each([
    [{ volatil: true }, 'volatil', 'volatile'],
    [{ encodign: 1 }, 'encodign', 'encoding'],
    [{ header: { a: 1 } }, 'header', 'headers'],
  ])('%j', async (headers, name, meant) => {
    const text = `write has no option '${name}', so all of its second argument is headers; did you mean '${meant}'? (headers alone: { headers: { … } })`
    expect(await warned(headers)).toEqual([[text, { code: 'SELVEDGE_UNKNOWN_OPTION' }]])
  })

  test.each([
    { volatility: 0.3 },
    { volatyle: 'no' },
    { row: 1, tl: 5, encoded: 'yes', name: 'ann' },
    { heders: 'none' },
  ])('nothing is said of %j', async headers => {
    expect(await warned(headers)).toEqual([])
  })
})
