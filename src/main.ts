#!/usr/bin/env node
import { Command, InvalidArgumentError } from 'commander'
import { demoCommand } from './cli/demo.js'
import { AppError, messageOf } from './errors.js'

const stop = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort())

function wholeNumber(text: string): number {
  const n = Number(text)
  if (!Number.isInteger(n) || n < 0) throw new InvalidArgumentError('give a whole number, 0 or more.')
  return n
}

const program = new Command('siyu')
  .description('私域：企业微信里的客户数据与营销自动化 · private-domain marketing for WeCom')
  .showHelpAfterError('（siyu --help 查看用法 · shows how to use it）')

program
  .command('demo')
  .description('用一年真实订单走完整条路，最后给出报告 · a year of real orders through the whole product')
  .option('--json <file>', '把全部数字写成 JSON · write every figure as JSON')
  .option('--data <dir>', '状态放在哪里 · where all state is kept', '.siyu/demo')
  .option('--fresh', '丢掉旧的重新开始 · drop what is there and begin anew', false)
  .option('--seed <n>', '随机种子 · seed of every draw', wholeNumber, 1)
  .option('--days <n>', '实时阶段的天数 · days to live through', wholeNumber, 90)
  .option('--keep', '结束后继续提供页面 · go on serving the page after the end', false)
  .option('--lang <zh|en>', '语言 · language', 'zh')
  .action(async (options: Parameters<typeof demoCommand>[0]) => demoCommand(options, process.env, stop.signal))

try {
  await program.parseAsync()
} catch (err) {
  process.stderr.write(
    `${err instanceof AppError ? err.message : err instanceof Error ? (err.stack ?? err.message) : messageOf(err)}\n`,
  )
  process.exitCode = 1
}
