import type { CallbackEcho } from '../../ports/callback-echo.js'
import type { UnfitDocument } from '../../ports/document-store.js'
import type { WecomProbe } from '../../ports/wecom-probe.js'
import { said, sentencesOf } from '../../said.js'
import { formatProblem, messageOf, type Problem } from '../../errors.js'
import { toDay, toWallTime } from '../../time.js'
import { examineWecom, type Subject } from '../wecom/examine-wecom.js'
import type { Horizon } from './date-past.js'
import { about, type Finding } from './finding.js'
import type { HeldRuns } from '../journeys/list-held.js'
import type { StillLane } from './lane-progress.js'
import type { UnknownEvent } from '../ingest/unknown-events.js'
import type { FailedRefresh } from '../tags/refresh-profiles.js'
import type { OpenReactions } from '../tags/reactions/list-open.js'
import type { HeldTouches } from '../touches/held-touches.js'
import type { SendingStatus } from '../touches/switch-sending.js'

/** A store, and how to find out whether it answers, and what with; `ping` is absent when nothing is there yet. */
export type StoreCheck = { name: 'documents' | 'events' | 'jobs'; kind: string; ping?: () => Promise<string | void> }

export type DoctorDeps = {
  /** Absent without WeCom in the configuration. */
  wecom?: { probe: WecomProbe; subject: Subject }
  /** Absent without callback settings. */
  callback?: { echo: CallbackEcho; serviceUrl?: string; publicUrl?: string }
  stores: readonly StoreCheck[]
  /** From when on the past can be asked (ISO 8601), and why not from earlier; absent while no service runs to say so. */
  past?: { from?: string; by?: Horizon['by'] }
  timeZone: string
  /** What is wrong with definitions and mappings. */
  problems: readonly Problem[]
  /** Addresses that are still the ones of the examples; `problems`: customers could be sent them. */
  placeholders?: { problems: readonly Problem[]; warnings: readonly Problem[] }
  /** Absent while no service runs. */
  held?: { runs: number; groups: readonly HeldRuns[] }
  /** Touches that cannot go on in the running service, which may be older than this program; absent while none runs. */
  heldTouches?: Pick<HeldTouches, 'touches' | 'channels'> & Partial<HeldTouches>
  /** Absent while no service runs. */
  reactions?: { open: number; groups: readonly OpenReactions[] }
  /** Which lanes stand still, how long the inbox waits, and how much is set aside; absent while no service runs. */
  lanes?: {
    still: readonly StillLane[]
    inbox: { waiting: number; oldestAt?: string }
    rejected: number
    refreshes: readonly FailedRefresh[]
  }
  /** Events of names that no file knows; absent while no service runs. */
  unknownEvents?: readonly UnknownEvent[]
  /** Stored documents that it has read and cannot use; absent while no service runs. */
  unfit?: readonly UnfitDocument[]
  sending: { mode: 'off' | 'dry' | 'allow_list' | 'live'; allowList: readonly string[]; status?: SendingStatus }
}

const SEPARATOR = { zh: '；', en: '; ' }

/** Looks at everything that must be right before the first message; changes nothing and never throws for what it finds. */
export async function runDoctor(deps: DoctorDeps): Promise<Finding[]> {
  return [
    definitionsFinding(deps.problems),
    placeholdersFinding(deps.placeholders),
    ...(await Promise.all(deps.stores.map(storeFinding))),
    pastFinding(deps),
    ...(deps.wecom === undefined
      ? [
          about('wecom', said('企业微信', 'WeCom')).skipped(
            said('没有配置', 'not configured'),
            said('在配置文件里填 wecom:', 'fill in wecom: of the configuration'),
          ),
        ]
      : await examineWecom(deps.wecom.probe, deps.wecom.subject)),
    ...(await callbackFindings(deps.callback, deps.wecom !== undefined)),
    lanesFinding(deps),
    rejectedFinding(deps.lanes),
    refreshesFinding(deps),
    unknownFinding(deps.unknownEvents),
    heldFinding(deps.held),
    heldTouchesFinding(deps.heldTouches),
    reactionsFinding(deps.reactions),
    unfitFinding(deps.unfit),
    unsettledFinding(deps.heldTouches),
    sendingFinding(deps.sending),
  ]
}

const NOT_RUNNING = [
  said('服务没有运行', 'the service is not running'),
  said('先 siyu serve 再试', 'siyu serve, then try again'),
] as const

function definitionsFinding(problems: readonly Problem[]): Finding {
  const check = about('definitions', said('定义文件', 'definitions'))
  return problems.length === 0
    ? check.ok(said('没有问题', 'nothing is wrong'))
    : check.failed(
        said(`${problems.length} 个问题`, `${problems.length} problems`),
        said('siyu check 逐条列出', 'siyu check lists them'),
      )
}

function placeholdersFinding(
  { problems, warnings }: DoctorDeps['placeholders'] = { problems: [], warnings: [] },
): Finding {
  const check = about('addresses', said('网址', 'addresses'))
  const found = [...problems, ...warnings]
  if (found.length === 0) return check.ok(said('不是示例地址', 'none is of the examples'))
  const shown = (language: 'zh' | 'en') =>
    found.map(({ path, message }) => `${path} ${sentencesOf(message)[language]}`).join(SEPARATOR[language])
  const fix = said('在配置文件里填品牌自己的域名', 'fill in the domain of the brand')
  const words = said(shown('zh'), shown('en'))
  return problems.length > 0 ? check.failed(words, fix) : check.warned(words, fix)
}

const STORES = {
  documents: said('文档库', 'documents'),
  events: said('事件库', 'events'),
  jobs: said('任务队列', 'jobs'),
}

async function storeFinding({ name, kind, ping }: StoreCheck): Promise<Finding> {
  const check = about(`stores.${name}`, STORES[name])
  const { zh, en } = sentencesOf(kind)
  if (ping === undefined) return check.skipped(said(`${zh}，首次启动时创建`, `${en}, made at the first start`))
  try {
    const answer = await ping()
    if (answer === undefined) return check.ok(kind)
    const words = sentencesOf(answer)
    return check.ok(said(`${zh}，${words.zh}`, `${en}, ${words.en}`))
  } catch (err) {
    const cause = sentencesOf(messageOf(err))
    return check.failed(
      said(`${zh}：${cause.zh}`, `${en}: ${cause.en}`),
      said('看地址、网络和权限', 'check address, network and rights'),
    )
  }
}

const HORIZONS: { [K in Horizon['by']]: { zh: string; en: string } } = {
  upgrade: { zh: '升级前没有记录', en: 'nothing was kept before the upgrade' },
}

function pastFinding({ past, timeZone }: DoctorDeps): Finding {
  const check = about('past', said('可回溯的过去', 'the past that can be asked'))
  if (past === undefined) return check.skipped(...NOT_RUNNING)
  if (past.from === undefined || past.by === undefined)
    return check.ok(said('从第一次启动起（--as-of）', 'from the first start on (--as-of)'))
  const from = `${wallText(past.from, timeZone)} ${timeZone}`
  const { zh, en } = HORIZONS[past.by]
  return check.ok(said(`从 ${from} 起：${zh}`, `from ${from} on: ${en}`))
}

function wallText(iso: string, timeZone: string): string {
  const { hour, minute } = toWallTime(new Date(iso), timeZone)
  return `${toDay(new Date(iso), timeZone)} ${[hour, minute].map((n) => String(n).padStart(2, '0')).join(':')}`
}

const CALLBACK_PAGE = '管理后台 → 应用管理 → 该应用 → 接收消息 → 设置API接收'

async function callbackFindings(callback: DoctorDeps['callback'], isConfigured: boolean): Promise<Finding[]> {
  const keys = about('callback.keys', said('回调 Token 与 AESKey', 'callback keys'))
  if (callback === undefined) {
    if (!isConfigured) return []
    return [
      keys.warned(
        said('没有配置，收不到回调', 'not set: nothing is received'),
        said(
          `${CALLBACK_PAGE}，把 Token 与 EncodingAESKey 填到 wecom.callback`,
          `copy Token and EncodingAESKey to wecom.callback from ${CALLBACK_PAGE}`,
        ),
      ),
    ]
  }
  const { echo, serviceUrl, publicUrl } = callback
  const wrong = echo.selfTest()
  if (wrong !== undefined) return [keys.failed(wrong, said(`对照 ${CALLBACK_PAGE}`, `compare with ${CALLBACK_PAGE}`))]
  const local = about('callback.service', said('回调自测', 'callback round trip'))
  const outside = about('callback.public', said('公网回调', 'public callback'))
  return [
    keys.ok(said('加解密自测通过', 'encrypts and opens')),
    serviceUrl === undefined
      ? local.skipped(...NOT_RUNNING)
      : asFinding(
          local,
          await echo.ask(serviceUrl),
          said('看服务日志；Token 与 AESKey 是否和运行中的一致', 'look at its log; restart it after changing the keys'),
        ),
    publicUrl === undefined
      ? outside.skipped(
          said('没有配置 wecom.callback.url', 'wecom.callback.url is not set'),
          said(`填 ${CALLBACK_PAGE} 里的 URL`, `set it to the URL of ${CALLBACK_PAGE}`),
        )
      : asFinding(
          outside,
          await echo.ask(publicUrl),
          said(
            `检查域名、反向代理和防火墙，路径是 /wecom/callback；再到 ${CALLBACK_PAGE} 保存`,
            `check domain, proxy and firewall, the path is /wecom/callback; then save it in ${CALLBACK_PAGE}`,
          ),
        ),
  ]
}

function asFinding(check: ReturnType<typeof about>, wrong: string | undefined, fix: string): Finding {
  return wrong === undefined ? check.ok(said('原样应答', 'it echoes')) : check.failed(wrong, fix)
}

function lanesFinding({ lanes, timeZone }: DoctorDeps): Finding {
  const check = about('lanes', said('后台工作', 'work'))
  if (lanes === undefined) return check.skipped(...NOT_RUNNING)
  const { still, inbox } = lanes
  if (still.length > 0)
    return check.failed(
      listOf(still, ({ lane, since, times, cause }) => {
        const at = wallText(since, timeZone)
        const why = sentencesOf(cause)
        return {
          zh: `${lane} 自 ${at}，失败 ×${times}：${why.zh}`,
          en: `${lane} since ${at}, failed ×${times}: ${why.en}`,
        }
      }),
      said(
        '看日志 “lane failed”，按原因处理；其他工作照常',
        'see “lane failed” in the log, and mend the cause; other work goes on',
      ),
    )
  if (inbox.oldestAt === undefined) return check.ok(said('在做，没有积压', 'works, nothing waits'))
  const oldest = wallText(inbox.oldestAt, timeZone)
  return check.ok(
    said(`收件箱 ${inbox.waiting}，最早 ${oldest}`, `${inbox.waiting} in the inbox, the oldest of ${oldest}`),
  )
}

function rejectedFinding(lanes: DoctorDeps['lanes']): Finding {
  const check = about('ingest.rejected', said('放在一边的数据', 'what is set aside'))
  if (lanes === undefined) return check.skipped(...NOT_RUNNING)
  if (lanes.rejected === 0) return check.ok(said('没有', 'none'))
  return check.warned(
    String(lanes.rejected),
    said(
      'siyu ingest rejected 看原因，改好后 siyu ingest replay',
      'siyu ingest rejected says why; mend it, then siyu ingest replay',
    ),
  )
}

function refreshesFinding({ lanes, timeZone }: DoctorDeps): Finding {
  const check = about('tags.refreshes', said('全员重算', 'refreshes'))
  if (lanes === undefined) return check.skipped(...NOT_RUNNING)
  const { refreshes } = lanes
  if (refreshes.length === 0) return check.ok(said('都能算完', 'all go to their end'))
  const say = ({ refresh, at, reason }: FailedRefresh) => {
    const inWords = (language: 'zh' | 'en') => `${refresh} ${wallText(at, timeZone)}: ${sentencesOf(reason)[language]}`
    return { zh: inWords('zh'), en: inWords('en') }
  }
  return check.failed(
    listOf(refreshes, say, refreshes.length),
    said(
      '按原因改好规则或数据，再 siyu tags refresh；别的重算照常',
      'mend the rule or the data, then siyu tags refresh; other refreshes go on',
    ),
  )
}

function unknownFinding(events: DoctorDeps['unknownEvents']): Finding {
  const check = about('events.unknown', said('没有登记的事件', 'unknown events'))
  if (events === undefined) return check.skipped(...NOT_RUNNING)
  if (events.length === 0) return check.ok(said('没有', 'none'))
  const shown = events.slice(0, SHOWN).map((e) => `${e.name} ×${e.events}`)
  const names = `${shown.join(', ')}${events.length > SHOWN ? ' …' : ''}`
  return check.warned(
    said(`${events.length} 种：${names}`, `${events.length}: ${names}`),
    said(
      '数据已收下，但没有规则会用到；在 config/events.yaml 里登记，或改正发送方的拼写',
      'they are kept, and no rule reads them: name them in config/events.yaml, or correct the sender',
    ),
  )
}

const SHOWN = 3

/** The first of them in each language, after how many there are. */
function listOf<T>(items: readonly T[], say: (item: T) => { zh: string; en: string }, count?: number): string {
  const shown = items.slice(0, SHOWN).map(say)
  const more = items.length > SHOWN ? ' …' : ''
  const inWords = (language: 'zh' | 'en', comma: string) =>
    [
      ...(count === undefined ? [] : [`${count}${comma}`]),
      shown.map((item) => item[language]).join(SEPARATOR[language]),
      more,
    ].join('')
  return said(inWords('zh', '，'), inWords('en', ', '))
}

function heldFinding(held: DoctorDeps['held']): Finding {
  const check = about('journeys.held', said('停住的旅程', 'held runs'))
  if (held === undefined) return check.skipped(...NOT_RUNNING)
  if (held.runs === 0) return check.ok(said('没有', 'none'))
  return check.warned(
    listOf(
      held.groups,
      (g) => {
        const what = `${g.journeyId}@${g.version} ×${g.runs}: `
        const why = sentencesOf(g.reason)
        return { zh: what + why.zh, en: what + why.en }
      },
      held.runs,
    ),
    said(
      '升级落后的进程，或重新发布缺的版本；每十分钟自动再试',
      'update the process that is behind, or publish what is missing; they are tried again every ten minutes',
    ),
  )
}

function heldTouchesFinding(held: DoctorDeps['heldTouches']): Finding {
  const check = about('touches.held', said('停住的触达', 'held touches'))
  if (held === undefined) return check.skipped(...NOT_RUNNING)
  if (held.touches === 0) return check.ok(said('没有', 'none'))
  return check.warned(
    said(
      `${held.touches}，不认识的渠道：${channelsOf(held)}`,
      `${held.touches}, of channels unknown here: ${channelsOf(held)}`,
    ),
    said(
      '升级落后的进程；认识它的进程会接着发',
      'update the process that is behind; one that knows the channel goes on with them',
    ),
  )
}

function channelsOf({ channels }: NonNullable<DoctorDeps['heldTouches']>): string {
  return channels.map((c) => `${c.channel} ×${c.touches}`).join('; ')
}

function reactionsFinding(reactions: DoctorDeps['reactions']): Finding {
  const check = about('tags.reactions', said('标签变化的后续', 'what follows from tags'))
  if (reactions === undefined) return check.skipped(...NOT_RUNNING)
  if (reactions.open === 0) return check.ok(said('都做完了', 'all is done'))
  return check.warned(
    listOf(
      reactions.groups,
      ({ reaction, changes, attempts, error }) => ({
        zh: `${reaction} ×${changes}，试了 ${attempts} 次：${sentencesOf(error).zh}`,
        en: `${reaction} ×${changes}, ${attempts} attempts: ${sentencesOf(error).en}`,
      }),
      reactions.open,
    ),
    said(
      '看日志 “a reaction failed”；会自动再试，最长隔六小时',
      'see the log; each is tried again by itself, within six hours',
    ),
  )
}

function unfitFinding(unfit: DoctorDeps['unfit']): Finding {
  const check = about('documents.unfit', said('不能用的文档', 'unfit documents'))
  if (unfit === undefined) return check.skipped(...NOT_RUNNING)
  if (unfit.length === 0) return check.ok(said('没有读到', 'none was met'))
  return check.failed(
    listOf(
      unfit,
      ({ collection, id, problems }) => {
        const inWords = (language: 'zh' | 'en') =>
          `${collection}/${id} ${problems.map((p) => formatProblem(p, language)).join(', ')}`
        return { zh: inWords('zh'), en: inWords('en') }
      },
      unfit.length,
    ),
    said(
      '改好或删掉这些文档，见 docs/operations.md「不能用的文档」',
      'put them right or remove them: docs/operations.md, Unfit documents',
    ),
  )
}

function unsettledFinding(held: DoctorDeps['heldTouches']): Finding {
  const check = about('touches.unsettled', said('没有结果的消息', 'messages without a result'))
  const unsettled = held?.unsettled
  if (unsettled === undefined) return check.skipped(...NOT_RUNNING)
  if (unsettled.length === 0) return check.ok(said('没有', 'none'))
  return check.warned(
    listOf(
      unsettled,
      ({ why, dispatches }) => ({
        zh: `${sentencesOf(why).zh} ×${dispatches}`,
        en: `${sentencesOf(why).en} ×${dispatches}`,
      }),
      unsettled.reduce((sum, u) => sum + u.dispatches, 0),
    ),
    said(
      '每半小时再试，两周后放弃；成员离职的，到管理后台看；别的原因看日志',
      'tried again every half hour, given up after a fortnight; of members who have left look in the admin pages, else in the log',
    ),
  )
}

const MODES = {
  off: { zh: '全停', en: 'nothing is sent' },
  dry: { zh: '演练，只记账', en: 'ledger only' },
  allow_list: { zh: '只发白名单', en: 'allow-list only' },
  live: { zh: '正式发送', en: 'live' },
}

function sendingFinding({ mode, allowList, status }: DoctorDeps['sending']): Finding {
  const check = about('sending', said('发送', 'sending'))
  if (status?.stopped === true)
    return check.warned(said('已被 siyu send stop 停下', 'stopped by siyu send stop'), 'siyu send resume')
  const { zh, en } = MODES[mode]
  if (mode === 'allow_list' && allowList.length === 0)
    return check.warned(
      said(`${zh}，名单是空的`, `${en}, and the list is empty`),
      said('填 sending.allowList，或改 sending.mode', 'fill sending.allowList, or change sending.mode'),
    )
  return check.ok(
    mode === 'allow_list' ? said(`${zh}（${allowList.length}）`, `${en} (${allowList.length})`) : said(zh, en),
  )
}
