/** What a file is, from its first bytes, and how long it plays. */

const PNG = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])
const JPG = Buffer.from([0xff, 0xd8, 0xff])
const AMR = Buffer.from('#!AMR\n')

/** JPG or PNG. */
export function isPicture(content: Buffer): boolean {
  return startsWith(content, PNG) || startsWith(content, JPG)
}

export function isMp4(content: Buffer): boolean {
  return content.toString('latin1', 4, 8) === 'ftyp'
}

/** Bytes of an AMR frame without its header byte, by frame type (RFC 4867, section 5.3). One frame is 20 ms. */
const AMR_FRAME_BYTES = [12, 13, 15, 17, 19, 20, 26, 31, 5]

/** Length of an AMR recording; `undefined` when it is none. */
export function voiceSeconds(content: Buffer): number | undefined {
  if (!startsWith(content, AMR)) return undefined
  let frames = 0
  for (let at = AMR.length; at < content.length; frames++) at += 1 + (AMR_FRAME_BYTES[(content[at]! >> 3) & 15] ?? 0)
  return frames / 50
}

/** Length of a film from its header box `mvhd`; 0 when there is none. */
export function mp4Seconds(content: Buffer): number {
  const at = content.indexOf('mvhd')
  if (at < 0 || content.length < at + 36) return 0
  const isLong = content[at + 4] === 1
  const unitsPerSecond = content.readUInt32BE(at + (isLong ? 24 : 16))
  const units = isLong ? Number(content.readBigUInt64BE(at + 28)) : content.readUInt32BE(at + 20)
  return unitsPerSecond === 0 ? 0 : units / unitsPerSecond
}

function startsWith(content: Buffer, mark: Buffer): boolean {
  return content.subarray(0, mark.length).equals(mark)
}
