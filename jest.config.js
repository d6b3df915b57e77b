/** @type {import('jest').Config} */
export default {
  testEnvironment: './tests/runner/environment.js',
  reporters: ['default', './tests/runner/reporter.js'],
  globalSetup: './tests/runner/compile.js',
  globalTeardown: './tests/runner/remove-compiled.js',
  testSequencer: './tests/runner/sequencer.js',
  maxWorkers: 2,
  // Of every suite something stays with its worker: native modules hold on to whoever loaded them. Beyond this, where collecting
  // garbage takes as long as testing, a new worker begins.
  workerIdleMemoryLimit: '400MB',
  // A worker ends by itself: letting go of the engine takes a slow machine a while. Longer, and .ci/run says so.
  workerGracefulExitTimeout: 30_000,
  extensionsToTreatAsEsm: ['.ts'],
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': '$1' },
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      { jsc: { target: 'es2022', parser: { syntax: 'typescript' } }, module: { type: 'es6' } },
    ],
  },
  testMatch: ['<rootDir>/tests/**/*.test.ts'],
  modulePathIgnorePatterns: ['<rootDir>/dist/', '<rootDir>/node_modules/.cache/'],
  // Ten times what the slowest test takes on an idle machine; a hang is CI's to end.
  testTimeout: 600_000,
}
