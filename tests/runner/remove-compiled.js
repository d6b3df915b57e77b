export { removeCompiled as default } from './compile.js'
