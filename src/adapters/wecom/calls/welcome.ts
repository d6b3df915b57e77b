import { z } from 'zod'
import type { Calls } from './calls.js'
import { Attachment, Attachments, Bytes, checkRequest } from './content.js'
import { Nothing, Text } from './wire.js'

const WelcomeMessage = z
  .object({ text: Bytes(4_000).or(z.literal('')), attachments: Attachments })
  .refine((m) => m.text !== '' || m.attachments.length > 0, 'needs a text or an attachment')

/** Page 92366: a text of at most 3,000 bytes (`%NICKNAME%` becomes the newcomer's name), and at most one attachment. */
const Template = z
  .object({ text: Bytes(3_000).optional(), attachment: Attachment.optional() })
  .refine((t) => t.text ?? t.attachment, 'needs a text or an attachment')
export type GroupWelcomeTemplate = z.input<typeof Template>

const AddedReply = z.object({ template_id: z.string().min(1) })
const TemplateReply = z.object({
  text: z.object({ content: Text }).nullish(),
  /** Tells `pic_url` where the request said `media_id`. */
  image: z.object({ pic_url: Text, media_id: Text }).nullish(),
  link: z.object({ title: z.string(), url: z.string(), desc: Text, picurl: Text }).nullish(),
  miniprogram: z.object({ title: z.string(), pic_media_id: Text, appid: z.string(), page: z.string() }).nullish(),
  file: z.object({ media_id: Text }).nullish(),
  video: z.object({ media_id: Text }).nullish(),
})

/** Welcome messages to new customers (新客户欢迎语), and material for groups' welcomes (入群欢迎语素材). */
export function welcomeCalls(calls: Calls) {
  const path = 'externalcontact/group_welcome_template'
  return {
    /**
     * Within 20 s of the event that carried the code; once. Upload media before: nothing else fits into that time (page
     * 92137).
     *
     * @throws {WecomError} 41050 too late, 41051 delivered already, 41096 somebody else is sending with this code;
     *   {InvalidInputError} above a documented limit
     */
    async send(welcomeCode: string, text: string, attachments: readonly Attachment[] = []): Promise<void> {
      const content = checkRequest(WelcomeMessage, { text, attachments }, 'Welcome message')
      await calls.act(
        'externalcontact/send_welcome_msg',
        Nothing,
        {
          welcome_code: welcomeCode,
          text: content.text === '' ? undefined : { content: content.text },
          attachments: content.attachments,
        },
        { priority: 'welcome' },
      )
    },

    /** At most 100 in the company, then 41055. @param notify - tells the members of it @returns its id (page 92366) */
    async addTemplate(template: GroupWelcomeTemplate, notify = true): Promise<string> {
      const body = { ...bodyOf(template), notify: notify ? 1 : 0 }
      return (await calls.act(`${path}/add`, AddedReply, body)).template_id
    },
    /** Replaces the whole template; only the app that made it may. */
    async editTemplate(templateId: string, template: GroupWelcomeTemplate): Promise<void> {
      await calls.put(`${path}/edit`, Nothing, { ...bodyOf(template), template_id: templateId })
    },
    template: (templateId: string): Promise<z.infer<typeof TemplateReply>> =>
      calls.read(`${path}/get`, TemplateReply, { template_id: templateId }),
    async deleteTemplate(templateId: string): Promise<void> {
      await calls.act(`${path}/del`, Nothing, { template_id: templateId })
    },
  }
}

function bodyOf(given: GroupWelcomeTemplate): Record<string, unknown> {
  const { text, attachment } = checkRequest(Template, given, 'Group welcome template')
  const { msgtype, ...body } = attachment ?? { msgtype: undefined }
  return { ...(text === undefined ? {} : { text: { content: text } }), ...(msgtype === undefined ? {} : body) }
}
