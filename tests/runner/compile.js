// Before the first suite: everything that tests start as processes of their own, compiled once a run. Jest's transform ends at
// the process boundary, dist/ may be older than src/, and compiling in each child costs more than what most of them do.
import { cp, mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { transformFile } from '@swc/core'

const ROOMS = ['src', 'demo', 'connectors', 'sandbox', 'samples', 'bench', 'tests']
const AT_ONCE = 16

export default async function compile() {
  const target = join('node_modules', '.cache', `tests-${process.pid}`)
  process.env.SIYU_COMPILED = resolve(target)
  await mkdir(target, { recursive: true })
  await writeFile(join(target, 'package.json'), '{ "type": "module" }')
  const files = await sources()
  let next = 0
  const work = async () => {
    for (let file = files[next++]; file !== undefined; file = files[next++]) await emit(file, target)
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work))
  return target
}

/** Of tests only what is no suite: children and what they import. */
async function sources() {
  const found = await Promise.all(
    ROOMS.map(async (room) => (await readdir(room, { recursive: true })).map((file) => join(room, file))),
  )
  return found.flat().filter((file) => /(?<!\.test)\.ts$|\.json$/.test(file))
}

async function emit(file, target) {
  const to = join(target, file)
  await mkdir(dirname(to), { recursive: true })
  if (file.endsWith('.json')) return cp(file, to)
  const { code } = await transformFile(file, {
    jsc: { target: 'es2022', parser: { syntax: 'typescript' } },
    module: { type: 'es6' },
    sourceMaps: 'inline',
  })
  await writeFile(to.replace(/\.ts$/, '.js'), code)
}

export async function removeCompiled() {
  if (process.env.SIYU_COMPILED !== undefined) await rm(process.env.SIYU_COMPILED, { recursive: true, force: true })
}
