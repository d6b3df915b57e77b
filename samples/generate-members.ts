/** `npm run sample`: writes the synthetic people of samples/ anew from the customer numbers of the orders file. */
import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { loadBuyers } from './buyers.js'
import { inventPeople } from './people.js'

const { members, contacts, truth, counts } = inventPeople(
  await loadBuyers('examples/gift-shop/config/sources/online-retail.yaml'),
)
const files = { 'members.csv': members, 'wecom-contacts.csv': contacts, 'members-truth.csv': truth }
for (const [name, text] of Object.entries(files)) await writeFile(path.join('samples', name), text)
process.stdout.write(`${JSON.stringify(counts, null, 2)}\n`)
