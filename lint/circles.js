/**
 * Finds files that import each other in a circle, types included, in everything that is TypeScript here; part of
 * `npm run lint`. A type that closes a circle usually belongs one level lower.
 *
 * Usage: node lint/circles.js [ROOT]
 */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import ts from 'typescript'

const root = resolve(process.argv[2] ?? join(import.meta.dirname, '..'))
const imports = new Map(filesOf(root).map((file) => [file, importsOf(file)]))
const circles = findCircles(imports)
for (const circle of circles) {
  const lines = circle.map((file) => describe(file, circle))
  console.error(['These files import each other in a circle:', ...lines].join('\n  '))
}
if (circles.length > 0) process.exitCode = 1

function filesOf(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) return /^(node_modules|dist|\..*)$/.test(entry.name) ? [] : filesOf(path)
    return entry.name.endsWith('.ts') ? [relative(root, path)] : []
  })
}

/** Static, dynamic and type imports of a file, those of packages left out. */
function importsOf(file) {
  const { importedFiles } = ts.preProcessFile(readFileSync(join(root, file), 'utf8'), true, true)
  return importedFiles
    .filter(({ fileName }) => fileName.startsWith('.'))
    .map(({ fileName }) => join(dirname(file), fileName).replace(/\.js$/, '.ts'))
}

function describe(file, circle) {
  return `${file} imports ${imports
    .get(file)
    .filter((other) => circle.includes(other))
    .join(', ')}`
}

/** Strongly connected components of more than one file. @see Tarjan, "Depth-first search and linear graph algorithms", 1972 */
function findCircles(graph) {
  const found = []
  const numbers = new Map()
  const lowest = new Map()
  const path = []
  const visit = (file) => {
    numbers.set(file, numbers.size)
    lowest.set(file, numbers.get(file))
    path.push(file)
    for (const other of graph.get(file)) {
      if (!graph.has(other)) continue
      if (!numbers.has(other)) visit(other)
      if (path.includes(other)) lowest.set(file, Math.min(lowest.get(file), lowest.get(other)))
    }
    if (lowest.get(file) !== numbers.get(file)) return
    const circle = path.splice(path.indexOf(file))
    if (circle.length > 1 || graph.get(file).includes(file)) found.push(circle.sort())
  }
  for (const file of graph.keys()) if (!numbers.has(file)) visit(file)
  return found
}
