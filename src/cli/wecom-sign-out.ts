import type { Command } from 'commander'
import type { ServiceOptions } from '../app/open-service.js'
import { inLanguage, said } from '../said.js'
import { type CommandContext, configOption, examples, serviceOptions, type WithConfig } from './options.js'
import { withService } from './with-service.js'

export function registerWecomSignOut(wecom: Command, context: CommandContext): void {
  wecom
    .command('sign-out')
    .description('让导购在侧边栏的登录失效 · end the sessions of guides in the sidebar')
    .option('--guide <userid>', '只这一位；默认全部 · only hers; default: everybody')
    .addOption(configOption())
    .addHelpText('after', examples('siyu wecom sign-out --guide guide001', 'siyu wecom sign-out'))
    .action(async ({ guide, ...options }: WithConfig & { guide?: string }) =>
      signOutCommand(guide, serviceOptions(options, context)),
    )
}

/** `siyu wecom sign-out`: a phone was lost, or somebody left. Who may still sign in does so anew. */
export async function signOutCommand(guide: string | undefined, options: ServiceOptions): Promise<void> {
  await withService(options, async (service) => {
    await service.call('guides/sign-out', guide === undefined ? {} : { guide })
    const text = said(
      `✓ ${guide ?? '全部导购'} 在侧边栏要重新登录`,
      `✓ ${guide ?? 'every guide'} has to sign in to the sidebar anew`,
    )
    process.stdout.write(`${inLanguage(text, service.config.brand.locale)}\n`)
  })
}
