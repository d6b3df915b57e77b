import { z } from 'zod'

const Template = z.strictObject({
  id: z.string().min(1).describe('What messages name'),
  title: z.string().min(1),
  kind: z
    .enum(['template', 'subscribe_once', 'subscribe_long'])
    .describe('template: official account, followers only; subscribe_once: one message per consent'),
  fields: z
    .array(z.string().regex(/^[a-z_]+\d*$/, 'a field looks like thing1 or time2'))
    .min(1)
    .describe('Every one must be filled; the name without its number is the type'),
})

/** What stands beside WeCom: the brand's official account, mini program and WeChat Pay. */
export const Weixin = z
  .strictObject({
    followRatio: z
      .number()
      .min(0)
      .max(1)
      .default(0.4)
      .describe('Share of the contacts who follow the official account'),
    templates: z.array(Template).default([
      { id: 'sandbox-template-order', title: '订单通知', kind: 'template', fields: ['thing1', 'time2'] },
      {
        id: 'sandbox-subscribe-coupon',
        title: '优惠券到账',
        kind: 'subscribe_once',
        fields: ['thing1', 'amount2', 'time3'],
      },
      { id: 'sandbox-subscribe-service', title: '服务提醒', kind: 'subscribe_long', fields: ['thing1', 'time2'] },
    ]),
    payCallbackKey: z
      .enum(['certificate', 'public_key', 'mixed'])
      .default('certificate')
      .describe('What signs WeChat Pay callbacks; mixed: one after the other, as while a merchant changes over'),
    paySignTest: z
      .boolean()
      .default(false)
      .describe('Before each callback a probe with a wrong signature (WECHATPAY/SIGNTEST/…), which must be refused'),
  })
  .prefault({})
export type WeixinTemplate = z.infer<typeof Template>
