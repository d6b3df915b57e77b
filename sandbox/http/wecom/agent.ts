import { z } from 'zod'
import { openObjects } from '../../objects.js'
import type { World } from '../../world/world.js'
import { type Call, type Endpoints, read, Refusal } from '../core/endpoint.js'

/** Page 90231: buttons of a menu, of a sub menu, and the bytes of their names. */
const BUTTONS = { top: 3, sub: 5 }
const NAME_BYTES = { top: 16, sub: 40 }
const KEY_BYTES = 128
const WITH_KEY = [
  'click', 'scancode_push', 'scancode_waitmsg', 'pic_sysphoto', 'pic_photo_or_album', 'pic_weixin', 'location_select',
] // prettier-ignore

const Button = z.object({
  type: z.string().nullish(),
  name: z.string().min(1),
  key: z.string().nullish(),
  url: z.string().nullish(),
  appid: z.string().nullish(),
  pagepath: z.string().nullish(),
})
const Menu = z.object({ button: z.array(Button.extend({ sub_button: z.array(Button).default([]) })) })
type Menu = z.infer<typeof Menu>

/** The app itself and its menu (pages 90227, 90231, 90232, 90233). */
export function agentEndpoints(world: World): Endpoints {
  const menus = openObjects<Menu>(world.state, world.seed, 'menu')
  const ownId = ({ app, params }: Call): string => {
    const id = Number(params['agentid'])
    if (!Number.isInteger(id)) throw new Refusal(40056, 'invalid agentid')
    if (id !== app.agentId) throw new Refusal(301002, 'not allow operate another agent with this accesstoken.')
    return String(id)
  }
  return {
    '/cgi-bin/agent/get': {
      handle: (call) => {
        ownId(call)
        const { app } = call
        return {
          agentid: app.agentId,
          name: app.name,
          square_logo_url: 'https://p.qlogo.cn/bizmail/sandbox/0',
          description: '',
          allow_userinfos: { user: (app.visible?.members ?? []).map((userid) => ({ userid })) },
          allow_partys: { partyid: app.visible?.departments ?? [1] },
          allow_tags: { tagid: [] },
          close: app.disabled ? 1 : 0,
          redirect_domain: '',
          report_location_flag: 0,
          isreportenter: 0,
          home_url: '',
        }
      },
    },
    '/cgi-bin/menu/create': {
      writes: true,
      handle: (call) => {
        const id = ownId(call)
        const menu = read(Menu, call.params)
        checkMenu(menu)
        menus.put(id, menu)
        return {}
      },
    },
    '/cgi-bin/menu/get': {
      handle: (call) => {
        const menu = menus.get(ownId(call))
        if (menu === undefined) throw new Refusal(46003, 'menu no exist')
        return menu
      },
    },
    '/cgi-bin/menu/delete': {
      writes: true,
      handle: (call) => {
        menus.delete(ownId(call))
        return {}
      },
    },
  }
}

function checkMenu({ button: buttons }: Menu): void {
  if (buttons.length < 1 || buttons.length > BUTTONS.top) throw new Refusal(40016, 'invalid button size')
  for (const { sub_button: below, ...button } of buttons) {
    checkName(button.name, NAME_BYTES.top, 40018)
    if (below.length > BUTTONS.sub) throw new Refusal(40023, 'invalid sub button size')
    if (below.length === 0) checkButton(button)
    for (const sub of below) {
      checkName(sub.name, NAME_BYTES.sub, 40025)
      checkButton(sub)
    }
  }
}

function checkName(name: string, max: number, errcode: number): void {
  if (Buffer.byteLength(name) > max) throw new Refusal(errcode, 'invalid button name size')
}

function checkButton({ type, key, url, appid }: z.infer<typeof Button>): void {
  if (type === 'view') {
    if (!url) throw new Refusal(40020, 'invalid button url size')
  } else if (type === 'view_miniprogram') {
    if (!appid) throw new Refusal(40058, 'appid unexpected empty. invalid Request Parameter')
  } else if (WITH_KEY.includes(type ?? '')) {
    if (!key || Buffer.byteLength(key) > KEY_BYTES) throw new Refusal(40019, 'invalid button key size')
  } else {
    throw new Refusal(40017, 'invalid button type')
  }
}
