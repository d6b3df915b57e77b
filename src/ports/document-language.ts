/**
 * The documented subset of MongoDB's queries and updates, as the type checker knows it: which fields and dotted paths a
 * document has, and what each operator takes there. Adapters check the same when they are called.
 *
 * A path goes into objects (`lease.owner`), records (`tags.vip`) and lists, by position (`lines.0.sku`) or through all items
 * (`lines.sku`). Below a value of type `unknown` any path leads to anything.
 */
type Scalar = string | number | boolean | Date
type Leaf = Scalar | null | undefined

/** Fields and dotted paths of `T`; those of every member where it is a union. */
export type Path<T> = T extends Leaf
  ? never
  : unknown extends T
    ? string
    : T extends readonly (infer E)[]
      ? Path<E> | `${number}` | `${number}.${Path<E>}`
      : { [K in keyof T & string]-?: K | `${K}.${Path<T[K]>}` }[keyof T & string]

/** What stands at a path. */
export type At<T, P extends string> = P extends `${infer K}.${infer Rest}` ? At<Step<T, K>, Rest> : Step<T, P>
type Step<T, K extends string> = T extends Leaf
  ? never
  : unknown extends T
    ? unknown
    : T extends readonly (infer E)[]
      ? K extends `${number}`
        ? E
        : Step<E, K>
      : K extends keyof T
        ? Exclude<T[K], undefined>
        : never

type Item<V> = V extends readonly (infer E)[] ? E : never
/** What numbers, texts and instants are compared with; of a list each item is. */
type Ordered<V> = unknown extends V | Item<V> ? unknown : Extract<V | Item<V>, Scalar>
/** What a value equals: itself, or, being a list, an item; null where nothing is. Whole objects are not compared. */
type Equal<V> = unknown extends V | Item<V>
  ? unknown
  : Extract<V | Item<V>, Scalar> | Extract<V, readonly unknown[]> | null

type Operators<V> = {
  $eq?: Equal<V>
  $ne?: Equal<V>
  $gt?: Ordered<V>
  $gte?: Ordered<V>
  $lt?: Ordered<V>
  $lte?: Ordered<V>
  $in?: readonly Equal<V>[]
  $nin?: readonly Equal<V>[]
  $exists?: boolean
  $not?: Operators<V>
  $elemMatch?: unknown extends V ? unknown : Matches<Item<V>>
}
type Matches<E> = E extends Leaf ? Operators<E> : Filter<E>
type Condition<V> = unknown extends V ? unknown : Equal<V> | Operators<V>

/** Equality (also "array contains"), `$eq $ne $gt $gte $lt $lte $in $nin $exists $and $or $nor $not $elemMatch`. */
export type Filter<T> = { [P in Path<T>]?: Condition<At<T, P>> } & {
  $and?: readonly Filter<T>[]
  $or?: readonly Filter<T>[]
  $nor?: readonly Filter<T>[]
}

type Changing<T> = Exclude<Path<T>, '_id'>
type Values<T> = { [P in Changing<T>]?: At<T, P> }
type Added<V, Each> = unknown extends V ? unknown : Item<V> | ({ $each: readonly Item<V>[] } & Each)
type Pulled<V> = unknown extends V ? unknown : Equal<Item<V>> | Matches<Item<V>>

/** `$set $unset $inc $min $max $push ($each, $slice) $addToSet ($each) $pull $setOnInsert`. */
export type Update<T> = {
  $set?: Values<T>
  $setOnInsert?: Values<T>
  $unset?: { [P in Changing<T>]?: unknown }
  $inc?: { [P in Changing<T>]?: unknown extends At<T, P> ? unknown : Extract<At<T, P>, number> }
  $min?: { [P in Changing<T>]?: Ordered<At<T, P>> }
  $max?: { [P in Changing<T>]?: Ordered<At<T, P>> }
  $push?: { [P in Changing<T>]?: Added<At<T, P>, { $slice?: number }> }
  $addToSet?: { [P in Changing<T>]?: Added<At<T, P>, unknown> }
  $pull?: { [P in Changing<T>]?: Pulled<At<T, P>> }
}

export type Sort<T> = { [P in Path<T>]?: 1 | -1 }
