// The environment of every suite: jest's own for Node, and a suite that leaves something open fails by name.
// Otherwise the run would not end by itself, and nobody could tell whose fault it is.
import vm from 'node:vm'
import { setTimeout as sleep } from 'node:timers/promises'
import { TestEnvironment } from 'jest-environment-node'

/** Looks until what was closed last is really gone: sockets and processes end a moment after they were told. */
const LOOKS = 1_200
const LOOK_AGAIN_MS = 50

export default class extends TestEnvironment {
  constructor(config, context) {
    // Jest makes the global object of a suite a proxy that Node asks for every name: a `Date` or an `Array` costs the code under
    // test some fifty times what it does outside. An ordinary global object of its own keeps suites apart as well.
    const { createContext } = vm
    vm.createContext = () => createContext(vm.constants.DONT_CONTEXTIFY)
    try {
      super(config, context)
    } finally {
      vm.createContext = createContext
    }
    this.looks = config.projectConfig.testEnvironmentOptions.looks ?? LOOKS
  }

  async setup() {
    await super.setup()
    // Made when they are first asked for, and no suite's to close.
    void [process.stdout, process.stderr]
    this.before = openNow()
  }

  async teardown() {
    const { before } = this
    await super.teardown()
    let left = leftOpen(before)
    for (let look = 1; look < this.looks && left.length > 0; look++) {
      await sleep(LOOK_AGAIN_MS)
      left = leftOpen(before)
    }
    if (left.length > 0) throw new Error(`this suite does not close what it opened: ${left.join(', ')}`)
  }
}

/** What keeps this process from ending, by kind. */
function openNow() {
  const counts = new Map()
  for (const kind of process.getActiveResourcesInfo()) counts.set(kind, (counts.get(kind) ?? 0) + 1)
  return counts
}

function leftOpen(before) {
  return [...openNow()].flatMap(([kind, count]) => {
    const more = count - (before.get(kind) ?? 0)
    return more > 0 ? [`${more} × ${kind}`] : []
  })
}
