/**
 * Texts for people who run the service carry both languages: `said('中文', 'English')`. What is said in one only is an error where such
 * texts are made: errors, problems, and what schemas say of a field.
 */

/** English words, and no command that is the same in both. */
const ENGLISH = /[A-Za-z]{2,} [A-Za-z]/
const COMMAND = /^(siyu|npm|npx) /
const ERRORS = /^(InvalidInputError|ConfigError|NotFoundError)$/
/** Of zod, with the place of the text among their arguments. */
const SCHEMA_TEXTS = { describe: 0, refine: 1, regex: 1 }

/** The texts that an expression may be, where they stand in the open. */
function* bareTexts(node) {
  if (node?.type === 'Literal' && typeof node.value === 'string') yield { node, text: node.value }
  else if (node?.type === 'TemplateLiteral')
    yield { node, text: node.quasis.map((quasi) => quasi.value.cooked).join('X') }
  else if (node?.type === 'ConditionalExpression') {
    yield* bareTexts(node.consequent)
    yield* bareTexts(node.alternate)
  } else if (node?.type === 'LogicalExpression') {
    yield* bareTexts(node.left)
    yield* bareTexts(node.right)
  }
}

/** @type {import('eslint').Rule.RuleModule} */
const said = {
  meta: { type: 'problem', schema: [] },
  create(context) {
    const look = (expression) => {
      for (const { node, text } of bareTexts(expression))
        if (ENGLISH.test(text) && !COMMAND.test(text))
          context.report({ node, message: "People read this in two languages: said('中文', 'English')." })
    }
    const keyOf = (property) => property.key?.name ?? property.key?.value
    return {
      NewExpression({ callee, arguments: [what] }) {
        if (ERRORS.test(callee.name)) look(what)
      },
      ObjectExpression({ properties }) {
        if (!properties.some((property) => keyOf(property) === 'path')) return
        for (const property of properties) if (/^(message|hint)$/.test(keyOf(property))) look(property.value)
      },
      CallExpression({ callee, arguments: given }) {
        const at = SCHEMA_TEXTS[callee.property?.name]
        if (at !== undefined) look(given[at])
      },
    }
  },
}

export const words = { rules: { said } }
