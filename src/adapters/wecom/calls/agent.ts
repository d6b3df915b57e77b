import { z } from 'zod'
import type { Calls } from './calls.js'
import { List, Nothing, Text } from './wire.js'

const AgentReply = z.object({
  agentid: z.number(),
  name: Text,
  description: Text,
  /** 1: the app is stopped. */
  close: z.number().optional(),
  allow_userinfos: z.object({ user: List(z.object({ userid: z.string() })) }).optional(),
  allow_partys: z.object({ partyid: List(z.number()) }).optional(),
  allow_tags: z.object({ tagid: List(z.number()) }).optional(),
  redirect_domain: Text,
  home_url: Text,
})
export type AgentDetail = z.infer<typeof AgentReply>

/** Single addresses or `a.b.c.*`; sometimes CIDR. */
const IpListReply = z.object({ ip_list: List(z.string()) })

/** What a button of the app's menu does: pages open, everything else calls back with its key. */
const MenuItem = z.object({
  name: z.string(),
  type: Text,
  key: Text,
  url: Text,
  appid: Text,
  pagepath: Text,
})
const MenuReply = z.object({ button: List(MenuItem.extend({ sub_button: List(MenuItem) })) })
export type Menu = z.infer<typeof MenuReply>['button']

export type MenuButton =
  | { name: string; type: 'view'; url: string }
  | { name: string; type: 'click' | 'scancode_push' | 'scancode_waitmsg'; key: string }
/** At most 3 buttons; with at most 5 below each. */
export type MenuInput = (MenuButton | { name: string; sub_button: MenuButton[] })[]

/** The app itself, and the platform's addresses. */
export function agentCalls(calls: Calls, agentId: number) {
  const agent = { agentid: agentId }
  return {
    /** Its name and visible range: members, departments and member tags (page 90227). */
    detail: (): Promise<AgentDetail> => calls.get('agent/get', AgentReply, agent),
    /** Where callbacks come from (page 90238). Changes: old and new ones live side by side for a while. */
    async callbackIps(): Promise<string[]> {
      return (await calls.get('getcallbackip', IpListReply)).ip_list
    },
    /** Where this client's requests go (page 92520). */
    async apiIps(): Promise<string[]> {
      return (await calls.get('get_api_domain_ip', IpListReply)).ip_list
    },
    /** The app's menu; empty when it has none (page 90232). */
    async menu(): Promise<Menu> {
      const asked = calls.get('menu/get', MenuReply, agent)
      return (await calls.unless(['already_done'], asked))?.button ?? []
    },
    /** Replaces the whole menu (page 90231). */
    async setMenu(buttons: MenuInput): Promise<void> {
      await calls.put('menu/create', Nothing, { button: buttons }, { query: agent })
    },
    /** (page 90233) */
    async deleteMenu(): Promise<void> {
      await calls.get('menu/delete', Nothing, agent) // without one there is nothing to delete, and no error
    },
  }
}
