import type { World } from '../../world/world.js'

/** Everybody in a department and those below it; `undefined` when there is no such department. */
export function departmentMembers(world: World, departmentId: number): string[] | undefined {
  const { departments } = world.staff
  if (!departments.some((d) => d.id === departmentId)) return undefined
  const inside = new Set([departmentId])
  // Parents may come after their children: go round until nothing is new.
  for (let before = 0; before < inside.size;) {
    before = inside.size
    for (const { id, parentId } of departments) if (inside.has(parentId)) inside.add(id)
  }
  return world.staff.employed.filter((m) => m.departmentIds.some((id) => inside.has(id))).map((m) => m.userId)
}
