import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { type CarrierName, traitsOf } from '../../src/domain/touches/channels.js'
import { type Channel, type Dispatch, TOO_LATE } from '../../src/ports/channel.js'

const inTime = () => false
const noneTaken = () => Promise.resolve(new Set<string>())

export type ChannelStand = {
  channel: Channel
  /** One that the platform takes. */
  dispatch: Dispatch
  /** How many messages or cards the platform has. */
  arrived(): Promise<number>
  /**
   * What becomes of the next request that sends. lost: it takes effect, its answer does not come. unreached: neither.
   * refused: the platform does not want it. later: it asks to come again.
   */
  next(fate: 'lost' | 'unreached' | 'refused' | 'later'): void
  close(): Promise<void>
}

/** What every way out promises, whatever the platform behind it. */
export function channelContract(name: CarrierName, what: string, open: () => Promise<ChannelStand>): void {
  describe(`${what} keeps the channel contract`, () => {
    let stand: ChannelStand
    beforeEach(async () => {
      stand = await open()
    })
    afterEach(() => stand.close())

    it('says what it is, as planning knows it, and how much it takes', () => {
      expect(stand.channel).toMatchObject(traitsOf(name))
      for (const limit of Object.values(stand.channel.limits)) expect(limit).toBeGreaterThanOrEqual(1)
    })

    it('sends once, under an id of the platform', async () => {
      const outcome = await stand.channel.dispatch(stand.dispatch, inTime)
      expect(outcome).toMatchObject({ kind: 'created', remoteId: expect.stringMatching(/./) as unknown, refused: [] })
      expect(await stand.arrived()).toBe(1)
    })

    it('refuses nobody, too many and too much text by itself', async () => {
      const { channel, dispatch } = stand
      const { recipients, textBytes } = channel.limits
      const many = Array.from({ length: recipients + 1 }, (_, i) => ({ ...dispatch.recipients[0]!, touchId: `t${i}` }))
      const broken: Dispatch[] = [
        { ...dispatch, recipients: [] },
        { ...dispatch, recipients: many },
        ...(textBytes === undefined
          ? []
          : [{ ...dispatch, content: { ...dispatch.content, text: 'x'.repeat(textBytes + 1) } }]),
      ]
      for (const one of broken) expect(await channel.dispatch(one, inTime)).toMatchObject({ kind: 'refused' })
      expect(await stand.arrived()).toBe(0)
    })

    it('does not know whether a request without an answer arrived; settled, it is there once', async () => {
      stand.next('lost')
      expect(await stand.channel.dispatch(stand.dispatch, inTime)).toMatchObject({ kind: 'unknown' })
      for (let time = 0; time < 2; time++)
        expect(await stand.channel.settle(stand.dispatch, noneTaken)).toMatchObject({ kind: 'created' })
      expect(await stand.arrived()).toBe(1)
    })

    it('settles what never arrived: it is absent, or is there once from then on', async () => {
      stand.next('unreached')
      expect(await stand.channel.dispatch(stand.dispatch, inTime)).toMatchObject({ kind: 'unknown' })
      const settled = await stand.channel.settle(stand.dispatch, noneTaken)
      expect(['absent', 'created']).toContain(settled.kind)
      expect(await stand.arrived()).toBe(settled.kind === 'created' ? 1 : 0)
      if (settled.kind === 'absent') await stand.channel.dispatch(stand.dispatch, inTime)
      expect(await stand.arrived()).toBe(1)
    })

    it('tells a refusal by its reason, and nothing has arrived', async () => {
      stand.next('refused')
      const outcome = await stand.channel.dispatch(stand.dispatch, inTime)
      expect(outcome).toMatchObject({ kind: 'refused', reason: expect.stringMatching(/./) as unknown })
      expect(await stand.arrived()).toBe(0)
    })

    it('says when to come again, and nothing has arrived', async () => {
      stand.next('later')
      const outcome = await stand.channel.dispatch(stand.dispatch, inTime)
      expect(outcome).toMatchObject({ kind: 'later', reason: expect.stringMatching(/./) as unknown })
      if (outcome.kind === 'later') expect(outcome.afterMs).toBeGreaterThan(0)
      expect(await stand.arrived()).toBe(0)
    })

    it('asks nobody once it is late, and says when to come again', async () => {
      const outcome = await stand.channel.dispatch(stand.dispatch, () => true)
      expect(outcome).toMatchObject({ kind: 'later', reason: TOO_LATE })
      expect(await stand.arrived()).toBe(0)
    })

    it('shows nobody as reached before anybody can have been, and speaks of those it was given', async () => {
      const sent = await sendIt(stand)
      const results = await stand.channel.results(sent)
      const given = new Set(stand.dispatch.recipients.map((r) => r.to))
      expect(results?.recipients.filter((r) => r.state === 'delivered' || !given.has(r.to)) ?? []).toEqual([])
      if (stand.channel.needsConfirmation) expect(results?.confirmedAt).toBeUndefined()
    })

    it('may be told to remind and to cancel, more than once', async () => {
      const sent = await sendIt(stand)
      for (let time = 0; time < 2; time++) await stand.channel.remind(sent)
      for (let time = 0; time < 2; time++) await stand.channel.cancel(sent)
      expect((await stand.channel.results(sent))?.final ?? true).toBe(true)
    })
  })
}

async function sendIt({ channel, dispatch }: ChannelStand): Promise<Dispatch & { remoteId: string }> {
  const outcome = await channel.dispatch(dispatch, inTime)
  if (outcome.kind !== 'created') throw new Error(`not created: ${outcome.kind}`)
  return { ...dispatch, remoteId: outcome.remoteId }
}
