import type { WecomTagName } from '../../domain/tags/kinds/kind.js'
import { targetKey } from '../../domain/tags/writeback.js'
import type { CorpTag } from '../../ports/wecom-actions.js'
import type { ServiceDeps } from '../runtime/deps.js'

/** Ids of corp tags by their names: from the mirror, then from WeCom, and made where there is none. */
export class TagDirectory {
  private ids: Map<string, string> | undefined
  private asking: Promise<void> | undefined

  constructor(private readonly deps: Pick<ServiceDeps, 'docs' | 'wecomActions' | 'log'>) {}

  /** Sees to it that these exist, as far as WeCom allows. */
  async provide(wanted: readonly WecomTagName[]): Promise<void> {
    this.ids ??= await this.mirrored()
    if (this.missing(wanted).length === 0) return
    await this.refresh()
    const byGroup = new Map<string, Set<string>>()
    for (const { group, name } of this.missing(wanted)) byGroup.set(group, (byGroup.get(group) ?? new Set()).add(name))
    for (const [group, names] of byGroup) {
      const made = await this.deps.wecomActions.tags.add(group, [...names])
      if (made.kind === 'done') await this.learn(made.tags)
      else {
        this.deps.log.warn('corp tags not made', { group, tags: names.size, why: made.reason })
        // Somebody else may have made them, or the answer was lost.
        await this.refresh()
      }
    }
  }

  idsOf(names: readonly WecomTagName[]): { ids: string[]; missing: string[] } {
    const found = names.map((name) => this.ids?.get(targetKey(name)))
    return {
      ids: found.filter((id) => id !== undefined),
      missing: names.filter((_, i) => found[i] === undefined).map(targetKey),
    }
  }

  /** Reads every tag anew; whoever asks while that runs waits for the same answer. */
  refresh(): Promise<void> {
    this.asking ??= this.read().finally(() => (this.asking = undefined))
    return this.asking
  }

  private missing(wanted: readonly WecomTagName[]): WecomTagName[] {
    return wanted.filter((name) => this.ids?.has(targetKey(name)) !== true)
  }

  private async read(): Promise<void> {
    this.ids = new Map()
    await this.learn(await this.deps.wecomActions.tags.list())
  }

  private async mirrored(): Promise<Map<string, string>> {
    const tags = await this.deps.docs.wecomTags.find({ state: 'active' })
    return new Map(tags.map((t) => [targetKey({ group: t.groupName, name: t.name }), t._id]))
  }

  /** The mirror learns too: what we make calls nobody back. */
  private async learn(tags: readonly CorpTag[]): Promise<void> {
    for (const tag of tags) this.ids?.set(targetKey(tag), tag.id)
    await this.deps.docs.wecomTags.updateEach(
      tags.map(({ id, name, groupId, group }) => ({
        id,
        update: { $set: { name, groupId, groupName: group, state: 'active' } },
        upsert: true,
      })),
    )
  }
}
