// What takes longest begins first, and the many short ones fill both workers to the end. Jest knows how long a suite took only
// where it ran before; a clean checkout has to be told.
import TestSequencer from '@jest/test-sequencer'

/** Parts of paths, the longest suites first. */
const LONG = ['/e2e/demo.', '/chaos/', '/crash.property.', '/live/', '.property.', '/e2e/']

export default class extends TestSequencer {
  sort(tests) {
    const rank = ({ path }) => {
      const found = LONG.findIndex((part) => path.includes(part))
      return found === -1 ? LONG.length : found
    }
    return super.sort(tests).sort((a, b) => rank(a) - rank(b))
  }
}
