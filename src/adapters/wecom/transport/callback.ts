import { hash, timingSafeEqual } from 'node:crypto'
import { decrypt, getSignature } from '@wecom/crypto'
import { XMLParser } from 'fast-xml-parser'
import { z } from 'zod'
import { ConfigError, InvalidInputError, type Problem } from '../../../errors.js'
import { parseInput } from '../../../parse.js'
import { readUsualXml } from './usual-xml.js'

export type CallbackOptions = {
  /** 接收消息 → Token: at most 32 letters and digits. */
  token: string
  /** 接收消息 → EncodingAESKey: 43 letters and digits. */
  encodingAesKey: string
  /** What the platform must have addressed it to. */
  corpId: string
}

export type WecomCallback = {
  /** Empty for customer-contact and contact-sync callbacks. */
  agentId: string
  /** The decrypted elements by name. Every leaf is text; what occurs several times is an array. */
  content: Record<string, unknown>
  /** The same for repeated deliveries of one event: hash of the decrypted content. */
  contentKey: string
}

/** A delivery that was checked and decrypted, not read yet. */
export type OpenedCallback = Pick<WecomCallback, 'agentId' | 'contentKey'> & {
  /** XML, for `parseMessage`. */
  message: string
}

export interface CallbackReader {
  /** The platform checks the URL: resolves to the bare text to answer within 1 s. @throws {InvalidInputError} */
  verifyUrl(query: unknown): string
  /** Checks and decrypts one delivery: XML, or the JSON envelope some apps get. @throws {InvalidInputError} */
  open(query: unknown, body: string): OpenedCallback
  /** The same, and reads the message. @throws {InvalidInputError} */
  read(query: unknown, body: string): WecomCallback
}

const Signed = z.object({ msg_signature: z.string(), timestamp: z.string(), nonce: z.string() })
const Echo = Signed.extend({ echostr: z.string().min(1) })
type Envelope = { encrypt: string; agentid: string }

const WHERE_TO_LOOK = 'compare with 应用管理 → the app → 接收消息 → 设置API接收'

/**
 * Verifies, decrypts and parses callbacks of one app.
 * @see 回调配置, developer.work.weixin.qq.com/document/path/90930 and 90968 (read 2026-08)
 * @throws {ConfigError} when token or key have the wrong shape
 */
export function openCallback({ token, encodingAesKey, corpId }: CallbackOptions): CallbackReader {
  const problems: Problem[] = []
  if (!/^[A-Za-z0-9]{1,32}$/.test(token)) {
    problems.push({ path: 'token', message: 'must be 1–32 letters and digits', hint: `${WHERE_TO_LOOK} → Token` })
  }
  if (!/^[A-Za-z0-9]{43}$/.test(encodingAesKey)) {
    const hint = `${WHERE_TO_LOOK} → EncodingAESKey`
    problems.push({
      path: 'encodingAesKey',
      message: `must be 43 letters and digits (got ${encodingAesKey.length})`,
      hint,
    })
  }
  if (problems.length > 0) throw new ConfigError('The WeCom callback settings are not usable', problems)

  /** `@wecom/crypto` checks neither the signature nor the receiver: both are checked here. */
  function decryptChecked(query: z.infer<typeof Signed>, encrypted: string): string {
    const expected = Buffer.from(getSignature(token, query.timestamp, query.nonce, encrypted))
    const given = Buffer.from(query.msg_signature)
    if (expected.length !== given.length || !timingSafeEqual(expected, given)) {
      throw refuse('msg_signature', 'does not fit the message', `${WHERE_TO_LOOK} → Token`)
    }
    let opened: { message: string; id: string }
    try {
      opened = decrypt(encodingAesKey, encrypted)
    } catch (err) {
      throw refuse('Encrypt', 'cannot be decrypted', `${WHERE_TO_LOOK} → EncodingAESKey`, err)
    }
    if (opened.id !== corpId) {
      throw refuse('receiveid', 'is not our corp id', 'compare with 我的企业 → 企业信息 → 企业ID')
    }
    return opened.message
  }

  function open(query: unknown, body: string): OpenedCallback {
    const signed = parseInput(Signed, query, 'Not a WeCom callback')
    const { encrypt, agentid } = readEnvelope(body)
    const message = decryptChecked(signed, encrypt)
    return { agentId: agentid, message, contentKey: hash('sha256', message) }
  }

  return {
    verifyUrl(query) {
      const echo = parseInput(Echo, query, 'Not a WeCom URL check')
      // A `+` of the Base64 that was not escaped has become a space on the way.
      return decryptChecked(echo, echo.echostr.replaceAll(' ', '+'))
    },
    open,
    read(query, body) {
      const { agentId, message, contentKey } = open(query, body)
      return { agentId, content: parseMessage(message), contentKey }
    },
  }
}

/** The elements of a decrypted message by name. @throws {InvalidInputError} */
export function parseMessage(message: string): Record<string, unknown> {
  return readUsualXml(message) ?? parseXml(message, 'decrypted message')
}

const Document = z.object({ xml: z.record(z.string(), z.unknown()) })
const parser = new XMLParser({ ignoreAttributes: true, parseTagValue: false, processEntities: false })

function parseXml(xml: string, path: string): Record<string, unknown> {
  // No WeCom message has a DTD; refusing it leaves no entities to expand.
  if (xml.includes('<!DOCTYPE')) throw refuse(path, 'has a DTD', 'callbacks come from WeCom only')
  let parsed: unknown
  try {
    parsed = parser.parse(xml)
  } catch (err) {
    throw refuse(path, 'is not XML', 'hand the body over as it was received', err)
  }
  return parseInput(Document, parsed, 'Not a WeCom callback').xml
}

/**
 * What is sealed, taken out as text: whose it is shows only by its signature, so nothing is parsed before that. Linear in the
 * length of the body, whatever it holds.
 */
function readEnvelope(body: string): Envelope {
  const fields = body.trimStart().startsWith('{') ? readJsonEnvelope(body) : readXmlEnvelope(body)
  if (fields.encrypt === undefined || !BASE64.test(fields.encrypt))
    throw refuse('Encrypt', 'is missing, or is not Base64', 'hand the body over as it was received')
  return { encrypt: fields.encrypt, agentid: fields.agentid ?? '' }
}

const BASE64 = /^[A-Za-z0-9+/]+=*$/

type Fields = { encrypt?: string | undefined; agentid?: string | undefined }

function readXmlEnvelope(body: string): Fields {
  // No WeCom message has a DTD, which could give an element another meaning.
  if (body.includes('<!DOCTYPE')) throw refuse('body', 'has a DTD', 'callbacks come from WeCom only')
  return { encrypt: elementOf(body, 'Encrypt'), agentid: elementOf(body, 'AgentID') }
}

/** The text of the first element of a name, bare or in one CDATA section. */
function elementOf(xml: string, name: string): string | undefined {
  const start = xml.indexOf(`<${name}>`)
  const end = start === -1 ? -1 : xml.indexOf(`</${name}>`, start)
  if (end === -1) return undefined
  const text = xml.slice(start + name.length + 2, end).trim()
  return text.startsWith(CDATA) && text.endsWith(']]>') ? text.slice(CDATA.length, -3).trim() : text
}

const CDATA = '<![CDATA['

function readJsonEnvelope(body: string): Fields {
  let parsed: object
  try {
    parsed = JSON.parse(body) as object // starts with a brace: an object
  } catch (err) {
    throw refuse('body', 'is not JSON', 'hand the body over as it was received', err)
  }
  // Spelt as in XML, sometimes in lower case. Anything but text is looked at no further.
  const of = (...names: string[]): unknown => Object.entries(parsed).find(([name]) => names.includes(name))?.[1]
  const [encrypt, agentid] = [of('Encrypt', 'encrypt'), of('AgentID', 'agentid')]
  return {
    encrypt: typeof encrypt === 'string' ? encrypt : undefined,
    agentid: typeof agentid === 'string' || typeof agentid === 'number' ? String(agentid) : undefined,
  }
}

function refuse(path: string, message: string, hint: string, cause?: unknown): InvalidInputError {
  return new InvalidInputError('WeCom callback refused', [{ path, message, hint }], { cause })
}
