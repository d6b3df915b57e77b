import { afterAll, beforeAll, expect, it } from '@jest/globals'
import { createWecomClient, type WecomClient } from '../../../src/adapters/wecom/client.js'
import { quietLog } from '../../../src/log.js'
import { ManualClock } from '../../../src/time.js'
import { openWecomStub, type WecomStub } from '../../support/wecom-stub.js'
import { all } from './stand.js'

/** Replies as the platform's documentation prints them (pages beside each), names replaced. */
let stub: WecomStub
let client: WecomClient

beforeAll(async () => {
  stub = await openWecomStub()
  client = createWecomClient({
    baseUrl: stub.url,
    corpId: 'ww1',
    agentId: 1,
    secret: 's',
    clock: new ManualClock(new Date('2026-08-03T02:00:00Z')),
    log: quietLog,
  })
})
afterAll(async () => {
  client.close()
  await stub.close()
})

const DAY = new Date(1536508800_000)
const CASES: [page: string, api: string, reply: object, ask: () => Promise<unknown>, read: unknown][] = [
  [
    '90238, without errcode',
    'getcallbackip',
    { errcode: undefined, errmsg: undefined, ip_list: ['101.226.103.*', '101.226.62.*'] },
    () => client.agent.callbackIps(),
    ['101.226.103.*', '101.226.62.*'],
  ],
  [
    '92114: tags of the three types, a Channels source, the last page with a cursor of nothing',
    'externalcontact/get',
    {
      external_contact: {
        external_userid: 'woAJ2GCAAAXtWyujaWJHDDGi0mACHAAA',
        name: '顾客 1',
        position: 'Manager',
        avatar: 'http://p.qlogo.cn/bizmail/x/0',
        corp_name: '腾讯',
        corp_full_name: '腾讯科技有限公司',
        type: 2,
        gender: 1,
        unionid: 'ozynqsulJFCZ2z1aYeS8h-nuasdAAA',
        external_profile: { external_attr: [{ type: 0, name: '文本名称', text: { value: '文本' } }] },
      },
      follow_user: [
        {
          userid: 'guide01',
          remark: '老客',
          description: '对接采购事务',
          createtime: 1525779812,
          tags: [
            { group_name: '组', tag_name: '甲', tag_id: 'etAJ2GCAAAXtWyujaWJHDDGi0mACHAAA', type: 1 },
            { group_name: '组', tag_name: '乙', type: 2 },
            { group_name: '组', tag_name: '丙', tag_id: 'stAJ2GCAAAXtWyujaWJHDDGi0mACHAAA', type: 3 },
          ],
          remark_corp_name: '腾讯科技',
          remark_mobiles: ['00000000001'],
          oper_userid: 'guide01',
          add_way: 10,
          wechat_channels: { nickname: '视频号名称', source: 1 },
        },
        { userid: 'guide02', createtime: 1525881637, state: '外联二维码1', oper_userid: 'woAJ2GCAAAXtWyujaWJHDDGi0mACHAAA', add_way: 3 }, // prettier-ignore
      ],
      next_cursor: '',
    },
    async () => (await client.contacts.get('wo'))?.follow_user.map((f) => [f.userid, f.tags.map((t) => [t.type, t.tag_id]), f.state]), // prettier-ignore
    [
      ['guide01', [[1, 'etAJ2GCAAAXtWyujaWJHDDGi0mACHAAA'], [2, undefined], [3, 'stAJ2GCAAAXtWyujaWJHDDGi0mACHAAA']], undefined], // prettier-ignore
      ['guide02', [], '外联二维码1'],
    ],
  ],
  [
    '99434',
    'externalcontact/contact_list',
    {
      info_list: [
        { is_customer: false, name: '***开', tmp_openid: 'TMP1', follow_userid: 'guide01', chat_name: '外联群1', add_time: 1694418699 }, // prettier-ignore
        { is_customer: true, tmp_openid: 'TMP2', external_userid: 'woA', chat_id: 'CHATID', add_time: 1694418699 },
      ],
      next_cursor: '',
    },
    async () => (await all(client.contacts.served())).map((s) => [s.is_customer, s.external_userid, s.chat_id]),
    [[false, undefined, undefined], [true, 'woA', 'CHATID']], // prettier-ignore
  ],
  [
    '92117',
    'externalcontact/get_corp_tag_list',
    {
      tag_group: [
        {
          group_id: 'G1',
          group_name: '组',
          create_time: 1557838797,
          order: 1,
          deleted: false,
          tag: [{ id: 'T2', name: 'NAME2', create_time: 1557838797, order: 2, deleted: true }],
        },
      ],
    },
    () => client.tags.list({ tagIds: ['T2'] }),
    [{ group_id: 'G1', group_name: '组', order: 1, deleted: false, tag: [{ id: 'T2', name: 'NAME2', order: 2, deleted: true }] }], // prettier-ignore
  ],
  [
    '92122',
    'externalcontact/groupchat/get',
    {
      group_chat: {
        chat_id: 'wrOgQhDgAAMYQiS5ol9G7gK9JVAAAA',
        name: '销售客服群',
        owner: 'guide01',
        create_time: 1572505490,
        notice: '文明沟通，拒绝脏话',
        member_list: [
          { userid: 'guide03', type: 1, join_time: 1572505491, join_scene: 1, invitor: { userid: 'guide01' }, group_nickname: '客服', name: '导购 003' }, // prettier-ignore
          { userid: 'wmO', type: 2, unionid: 'oz', join_time: 1572505491, join_scene: 1, state: 'klsdup3kj3s1', group_nickname: '', name: '顾客 7' }, // prettier-ignore
        ],
        admin_list: [{ userid: 'guide04' }],
        member_version: '71217227bbd112ecfe3a49c482195cb4',
      },
    },
    async () => {
      const group = await client.groups.get('wr')
      return [group?.member_version, group?.member_list.map((m) => [m.userid, m.invitor?.userid, m.state, m.group_nickname])] // prettier-ignore
    },
    ['71217227bbd112ecfe3a49c482195cb4', [['guide03', 'guide01', undefined, '客服'], ['wmO', undefined, 'klsdup3kj3s1', undefined]]], // prettier-ignore
  ],
  [
    '92228: a picture comes back as an address',
    'externalcontact/get_contact_way',
    {
      contact_way: {
        config_id: '42b34949e138eb6e027c123cba77fAAA',
        type: 1,
        scene: 1,
        style: 2,
        remark: 'test remark',
        skip_verify: true,
        state: 'teststate',
        qr_code: '',
        user: ['guide01', 'guide02'],
        party: [2, 3],
        is_temp: true,
        expires_in: 86400,
        chat_expires_in: 86400,
        unionid: 'oxTWIuGaIt6gTKsQRLau2M0AAAA',
        conclusions: { text: { content: '文本' }, image: { pic_url: 'https://p.qpic.cn/pic_wework/XXXXX' } },
      },
    },
    async () => client.contactWays.get('42b'),
    {
      configId: '42b34949e138eb6e027c123cba77fAAA',
      kind: 'single',
      scene: 'mini_program',
      style: 2,
      remark: 'test remark',
      skipVerify: true,
      state: 'teststate',
      userIds: ['guide01', 'guide02'],
      departmentIds: [2, 3],
      isTemporary: true,
      expiresInSeconds: 86400,
      chatExpiresInSeconds: 86400,
      unionId: 'oxTWIuGaIt6gTKsQRLau2M0AAAA',
      conclusions: { text: { content: '文本' }, image: { pic_url: 'https://p.qpic.cn/pic_wework/XXXXX' } },
    },
  ],
  [
    '92229: scene 3 is a slip of the page',
    'externalcontact/groupchat/get_join_way',
    {
      join_way: {
        config_id: '9ad7fa5cdaa6511298498f979c472aaa',
        scene: 3,
        remark: 'aa_remark',
        auto_create_room: 1,
        room_base_name: '销售客服群',
        room_base_id: 10,
        chat_id_list: ['wrOgQhDgAAH2Yy-CTZ6POca8mlBEdaaa'],
        qr_code: 'http://p.qpic.cn/wwhead/nMl9ssowtibVGyrmvBiaibzDtp/0',
        state: 'klsdup3kj3s1',
      },
    },
    async () => (await client.joinWays.get('9ad'))?.scene,
    'qr_code',
  ],
  [
    '94088',
    'externalcontact/transfer_result',
    {
      customer: [
        { external_userid: 'wo1', status: 1, takeover_time: 1588262400 },
        { external_userid: 'wo2', status: 2, takeover_time: 1588482400 },
        { external_userid: 'wo3', status: 3, takeover_time: 0 },
      ],
      next_cursor: '',
    },
    () => all(client.transfer.results('onjob', 'guide01', 'guide02')),
    [
      { externalUserId: 'wo1', state: 'done', at: new Date(1588262400_000) },
      { externalUserId: 'wo2', state: 'waiting', at: new Date(1588482400_000) },
      { externalUserId: 'wo3', state: 'refused' },
    ],
  ],
  [
    '92127',
    'externalcontact/groupchat/transfer',
    { failed_chat_list: [{ chat_id: 'wrO', errcode: 90500, errmsg: 'the owner of this chat is not resigned' }] },
    () => client.transfer.groups('resigned', ['wrO'], 'guide02'),
    [{ chatId: 'wrO', errcode: 90500 }],
  ],
  [
    '92132: percentages only where there were replies',
    'externalcontact/get_user_behavior_data',
    {
      behavior_data: [
        { stat_time: 1536508800, chat_cnt: 100, message_cnt: 80, reply_percentage: 60.25, avg_reply_time: 1, negative_feedback_cnt: 0, new_apply_cnt: 6, new_contact_cnt: 5 }, // prettier-ignore
        { stat_time: 1536595200, chat_cnt: 20, message_cnt: 40, negative_feedback_cnt: 0, new_apply_cnt: 3, new_contact_cnt: 8 }, // prettier-ignore
      ],
    },
    async () =>
      (await client.statistics.behaviour({ userIds: ['guide01'] }, { from: DAY, to: DAY })).map((d) => [
        d.new_contact_cnt,
        d.reply_percentage,
      ]),
    [
      [5, 60.25],
      [8, undefined],
    ],
  ],
  [
    '92133',
    'externalcontact/groupchat/statistic',
    {
      total: 1,
      next_offset: 1,
      items: [{ owner: 'guide01', data: { new_chat_cnt: 2, chat_total: 2, chat_has_msg: 0, new_member_cnt: 0, member_total: 6, member_has_msg: 0, msg_total: 0, migrate_trainee_chat_cnt: 3 } }], // prettier-ignore
    },
    async () =>
      (await all(client.statistics.groupsByOwner(['guide01'], { from: DAY, to: DAY }))).map((o) => o.data.member_total),
    [6],
  ],
  [
    '90208',
    'department/list',
    { department: [{ id: 2, name: '广州研发中心', name_en: 'RDGZ', department_leader: ['guide01'], parentid: 1, order: 10 }] }, // prettier-ignore
    () => client.members.departments(),
    [{ id: 2, name: '广州研发中心', parentid: 1, order: 10, department_leader: ['guide01'] }],
  ],
  [
    '97375',
    'externalcontact/customer_acquisition_quota',
    { total: 1000, balance: 500, quota_list: [{ expire_date: 1689350400, balance: 500 }] },
    () => client.acquisition.quota(),
    { total: 1000, balance: 500, expiring: [{ at: new Date(1689350400_000), balance: 500 }] },
  ],
  [
    '95900',
    'idconvert/unionid_to_external_userid',
    { external_userid: '', pending_id: 'pending_id' },
    () => client.ids.match({ unionId: 'oAAAAAAA', openId: 'oBBBBBB', subject: 'provider' }),
    { kind: 'pending', pendingId: 'pending_id' },
  ],
  [
    '91023, as the old call wrote it',
    'auth/getuserinfo',
    { UserId: 'guide01', DeviceId: '' },
    () => client.signIn.visitor('CODE'),
    { kind: 'member', userId: 'guide01' },
  ],
]

it.each(CASES)('reads the reply of page %s (%s)', async (_page, api, reply, ask, read) => {
  stub.on(api, { ...reply })
  expect(await ask()).toEqual(read)
})
