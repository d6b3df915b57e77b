import Database from 'libsql'
import { ConfigError, messageOf } from '../src/errors.js'

type Plain = string | number | null
type Value = Plain | Buffer

/** More do not make an insert faster. */
const ROWS_PER_STATEMENT = 5_000

const SCHEMA_VERSION = 3
const SCHEMA = `
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE counter (name TEXT PRIMARY KEY, n INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE token (token TEXT PRIMARY KEY, secret TEXT NOT NULL, expires_ms INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX token_secret ON token (secret, expires_ms);
CREATE TABLE contact (external_user_id TEXT PRIMARY KEY, union_id TEXT, name TEXT NOT NULL, gender INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE relation (
  user_id TEXT NOT NULL, external_user_id TEXT NOT NULL, status TEXT NOT NULL, created_ms INTEGER NOT NULL,
  last_ms INTEGER NOT NULL, add_way INTEGER NOT NULL, state TEXT, remark TEXT NOT NULL, description TEXT NOT NULL DEFAULT '',
  remark_company TEXT NOT NULL DEFAULT '', remark_mobiles TEXT NOT NULL DEFAULT '[]',
  PRIMARY KEY (user_id, external_user_id)) WITHOUT ROWID;
CREATE INDEX relation_contact ON relation (external_user_id);
CREATE TABLE relation_tag (
  user_id TEXT NOT NULL, external_user_id TEXT NOT NULL, tag_id TEXT NOT NULL,
  PRIMARY KEY (user_id, external_user_id, tag_id)) WITHOUT ROWID;
CREATE TABLE resignation (user_id TEXT PRIMARY KEY, at_ms INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE transfer (
  seq INTEGER PRIMARY KEY, handover TEXT NOT NULL, takeover TEXT NOT NULL, external_user_id TEXT NOT NULL, resigned INTEGER NOT NULL,
  asked_ms INTEGER NOT NULL, takeover_ms INTEGER NOT NULL, status INTEGER NOT NULL);
CREATE INDEX transfer_pair ON transfer (handover, takeover, seq);
CREATE INDEX transfer_contact ON transfer (external_user_id, seq);
CREATE TABLE chat (
  chat_id TEXT PRIMARY KEY, owner TEXT NOT NULL, name TEXT NOT NULL, notice TEXT NOT NULL, created_ms INTEGER NOT NULL,
  member_version TEXT NOT NULL, status INTEGER NOT NULL DEFAULT 0, dismissed_ms INTEGER) WITHOUT ROWID;
CREATE INDEX chat_owner ON chat (owner, chat_id);
CREATE TABLE chat_member (
  chat_id TEXT NOT NULL, id TEXT NOT NULL, type INTEGER NOT NULL, join_ms INTEGER NOT NULL, join_scene INTEGER NOT NULL,
  invitor TEXT, state TEXT, nickname TEXT NOT NULL DEFAULT '', is_admin INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (chat_id, id)) WITHOUT ROWID;
CREATE INDEX chat_member_id ON chat_member (id);
CREATE TABLE chat_move (
  seq INTEGER PRIMARY KEY, chat_id TEXT NOT NULL, at_ms INTEGER NOT NULL, id TEXT NOT NULL, type INTEGER NOT NULL, joined INTEGER NOT NULL);
CREATE INDEX chat_move_chat ON chat_move (chat_id, at_ms);
CREATE TABLE tag_group (group_id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, created_ms INTEGER NOT NULL, ord INTEGER NOT NULL);
CREATE TABLE tag (
  tag_id TEXT PRIMARY KEY, group_id TEXT NOT NULL, name TEXT NOT NULL, created_ms INTEGER NOT NULL, ord INTEGER NOT NULL,
  UNIQUE (group_id, name));
CREATE TABLE due (
  at_ms INTEGER NOT NULL, kind TEXT NOT NULL, key TEXT NOT NULL, data TEXT NOT NULL,
  PRIMARY KEY (at_ms, kind, key)) WITHOUT ROWID;
CREATE TABLE mass (
  msgid TEXT PRIMARY KEY, created_ms INTEGER NOT NULL, content TEXT NOT NULL, content_hash TEXT NOT NULL,
  draw_key TEXT NOT NULL, cancelled INTEGER NOT NULL DEFAULT 0, chat_type TEXT NOT NULL DEFAULT 'single', creator TEXT,
  allow_select INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;
CREATE INDEX mass_created ON mass (created_ms, msgid);
CREATE TABLE mass_task (
  msgid TEXT NOT NULL, user_id TEXT NOT NULL, status INTEGER NOT NULL DEFAULT 0, sent_ms INTEGER,
  PRIMARY KEY (msgid, user_id)) WITHOUT ROWID;
CREATE INDEX mass_task_user ON mass_task (user_id, status);
CREATE TABLE mass_target (
  msgid TEXT NOT NULL, user_id TEXT NOT NULL, external_user_id TEXT NOT NULL, status INTEGER NOT NULL DEFAULT 0, sent_ms INTEGER,
  PRIMARY KEY (msgid, user_id, external_user_id)) WITHOUT ROWID;
CREATE TABLE reminder (msgid TEXT NOT NULL, at_ms INTEGER NOT NULL);
CREATE INDEX reminder_msgid ON reminder (msgid, at_ms);
CREATE TABLE quota (
  external_user_id TEXT NOT NULL, period TEXT NOT NULL, used INTEGER NOT NULL,
  PRIMARY KEY (external_user_id, period)) WITHOUT ROWID;
CREATE TABLE content (id INTEGER PRIMARY KEY, hash TEXT NOT NULL, text TEXT NOT NULL, link TEXT);
CREATE INDEX content_hash ON content (hash);
CREATE TABLE delivery (
  seq INTEGER PRIMARY KEY, kind TEXT NOT NULL, msgid TEXT NOT NULL, user_id TEXT NOT NULL, external_user_id TEXT NOT NULL,
  content_id INTEGER NOT NULL, sent_ms INTEGER NOT NULL, created_ms INTEGER NOT NULL, reads_ms INTEGER, read_ms INTEGER,
  replied_ms INTEGER, reply TEXT);
CREATE VIEW message AS
  SELECT d.*, c.hash AS content_hash, c.text, c.link FROM delivery d JOIN content c ON c.id = d.content_id;
CREATE TABLE life (customer INTEGER PRIMARY KEY, done INTEGER NOT NULL, raw_ms REAL NOT NULL);
CREATE TABLE purchase (
  seq INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, order_no TEXT NOT NULL, external_user_id TEXT NOT NULL, user_id TEXT,
  amount_minor INTEGER NOT NULL, delivery INTEGER);
CREATE TABLE click (seq INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, delivery INTEGER NOT NULL);
CREATE TABLE app_message (
  msgid TEXT PRIMARY KEY, agent_id INTEGER NOT NULL, created_ms INTEGER NOT NULL, request_hash TEXT NOT NULL, reply TEXT NOT NULL,
  task_id TEXT UNIQUE, body TEXT NOT NULL, recalled INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;
CREATE INDEX app_message_request ON app_message (request_hash, created_ms);
CREATE TABLE app_delivery (
  user_id TEXT NOT NULL, at_ms INTEGER NOT NULL, msgid TEXT NOT NULL, status TEXT NOT NULL, pressed_key TEXT,
  PRIMARY KEY (user_id, at_ms, msgid)) WITHOUT ROWID;
CREATE INDEX app_delivery_msgid ON app_delivery (msgid);
CREATE TABLE response_code (
  code TEXT PRIMARY KEY, msgid TEXT NOT NULL, expires_ms INTEGER NOT NULL, used INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;
CREATE TABLE welcome_code (
  code TEXT PRIMARY KEY, user_id TEXT NOT NULL, external_user_id TEXT NOT NULL, expires_ms INTEGER NOT NULL,
  used_ms INTEGER, used_by INTEGER) WITHOUT ROWID;
CREATE TABLE media (
  media_id TEXT PRIMARY KEY, type TEXT NOT NULL, file_name TEXT NOT NULL, content BLOB NOT NULL, created_ms INTEGER NOT NULL,
  scene TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE object (
  kind TEXT NOT NULL, id TEXT NOT NULL, seq INTEGER NOT NULL, body TEXT NOT NULL, PRIMARY KEY (kind, id)) WITHOUT ROWID;
CREATE UNIQUE INDEX object_order ON object (kind, seq);
CREATE TABLE outbox (seq INTEGER PRIMARY KEY AUTOINCREMENT, at_ms INTEGER NOT NULL, body TEXT NOT NULL);
CREATE TABLE weixin_user (
  openid TEXT PRIMARY KEY, appid TEXT NOT NULL, external_user_id TEXT NOT NULL, unionid TEXT NOT NULL, subscribed INTEGER NOT NULL,
  subscribe_ms INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX weixin_user_contact ON weixin_user (external_user_id, appid);
CREATE INDEX weixin_user_follows ON weixin_user (appid, subscribed, openid);
CREATE TABLE weixin_tag (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE weixin_user_tag (tag_id INTEGER NOT NULL, openid TEXT NOT NULL, PRIMARY KEY (tag_id, openid)) WITHOUT ROWID;
CREATE INDEX weixin_user_tag_openid ON weixin_user_tag (openid);
CREATE TABLE weixin_code (
  code TEXT PRIMARY KEY, kind TEXT NOT NULL, openid TEXT NOT NULL, expires_ms INTEGER NOT NULL, used INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;
CREATE TABLE weixin_consent (
  openid TEXT NOT NULL, template_id TEXT NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (openid, template_id)) WITHOUT ROWID;
CREATE TABLE weixin_message (
  seq INTEGER PRIMARY KEY, kind TEXT NOT NULL, openid TEXT NOT NULL, template_id TEXT NOT NULL, body TEXT NOT NULL, sent_ms INTEGER NOT NULL,
  client_msg_id TEXT UNIQUE);
CREATE TABLE pay_stock (
  stock_id TEXT PRIMARY KEY, family TEXT NOT NULL, status TEXT NOT NULL, body TEXT NOT NULL, created_ms INTEGER NOT NULL,
  sent INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE pay_coupon (
  stock_id TEXT NOT NULL, coupon_id TEXT NOT NULL, family TEXT NOT NULL, openid TEXT NOT NULL, appid TEXT NOT NULL, status TEXT NOT NULL,
  sent_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL, amount INTEGER NOT NULL, request_no TEXT NOT NULL, used_ms INTEGER,
  more TEXT NOT NULL, PRIMARY KEY (stock_id, coupon_id)) WITHOUT ROWID;
CREATE INDEX pay_coupon_id ON pay_coupon (coupon_id);
CREATE INDEX pay_coupon_openid ON pay_coupon (openid, stock_id);
CREATE INDEX pay_coupon_sent ON pay_coupon (stock_id, sent_ms);
CREATE TABLE pay_code (stock_id TEXT NOT NULL, code TEXT NOT NULL, status TEXT NOT NULL, PRIMARY KEY (stock_id, code)) WITHOUT ROWID;
CREATE TABLE pay_request (
  scope TEXT NOT NULL, number TEXT NOT NULL, hash TEXT NOT NULL, reply TEXT NOT NULL, PRIMARY KEY (scope, number)) WITHOUT ROWID;
CREATE TABLE pay_outbox (
  seq INTEGER PRIMARY KEY, family TEXT NOT NULL, event_type TEXT NOT NULL, content TEXT NOT NULL, at_ms INTEGER NOT NULL,
  next_ms INTEGER NOT NULL, tries INTEGER NOT NULL, state TEXT NOT NULL);
CREATE INDEX pay_outbox_state ON pay_outbox (state, next_ms);
PRAGMA user_version = ${SCHEMA_VERSION};
`

/**
 * All that the sandbox remembers, in one SQLite file (or `:memory:`). Calls are synchronous; a transaction never spans
 * an `await`. Rows come back as this file's schema wrote them, so they are typed by the caller and not checked again.
 */
export class State {
  private readonly db: Database.Database
  private readonly statements = new Map<string, Database.Statement>()
  private open = true
  private inTransaction = false
  /** Counts and rows that are written at the end of the running transaction, many at a time. */
  private readonly counts = new Map<string, number>()
  private readonly appended = new Map<string, Plain[][]>()
  private readonly changes = new Map<string, Plain[][]>()
  /** Statements of `many`, with the names of the columns. */
  private readonly lists = new Map<string, { statement: Database.Statement; columns: readonly string[] }>()

  /** @throws {ConfigError} when the file is unusable or was written by another version. */
  constructor(readonly file: string) {
    try {
      this.db = new Database(file)
      // Without `synchronous` a killed process still loses nothing, which is what is promised; a power cut may cost the file.
      this.db.exec(
        `PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; PRAGMA wal_autocheckpoint = 25000; PRAGMA cache_size = -131072; PRAGMA mmap_size = 1073741824;
         PRAGMA busy_timeout = 2000; PRAGMA foreign_keys = OFF`,
      )
    } catch (err) {
      throw new ConfigError(`cannot open the sandbox's state ${file}: ${messageOf(err)}`, [], { cause: err })
    }
    const version = this.get<{ user_version: number }>('PRAGMA user_version')!.user_version
    if (version !== 0 && version !== SCHEMA_VERSION) {
      this.db.close()
      throw new ConfigError(
        `the sandbox's state ${file} has version ${version}, this program reads ${SCHEMA_VERSION}: delete the file to start afresh`,
      )
    }
    if (version === 0) this.tx(() => this.db.exec(SCHEMA))
  }

  get<T>(sql: string, ...params: Value[]): T | undefined {
    return this.prepare(sql).get(...params) as T | undefined
  }

  all<T>(sql: string, ...params: Value[]): T[] {
    return this.prepare(sql).all(...params) as T[]
  }

  /** As `all`, at a third of its cost where rows come by the hundred: they cross over as one JSON text. Not for blobs. */
  many<T>(sql: string, ...params: Value[]): T[] {
    let list = this.lists.get(sql)
    if (list === undefined) {
      const columns = this.db.prepare(sql).columns().map(({ name }) => name) // prettier-ignore
      const row = columns.map((name) => `"${name}"`).join(', ')
      const statement = this.db.prepare(`SELECT json_group_array(json_array(${row})) AS list FROM (${sql})`)
      this.lists.set(sql, (list = { statement, columns }))
    }
    const { statement, columns } = list
    const rows = JSON.parse((statement.get(...params) as { list: string }).list) as Value[][]
    return rows.map((values) => {
      const row: Record<string, Value> = {}
      for (let i = 0; i < columns.length; i++) row[columns[i]!] = values[i]!
      return row as T
    })
  }

  /** Number of rows changed. */
  run(sql: string, ...params: Value[]): number {
    return this.prepare(sql).run(...params).changes
  }

  /** All or nothing. Inside another transaction it joins that one. */
  tx<T>(work: () => T): T {
    if (this.inTransaction) return work()
    this.db.exec('BEGIN IMMEDIATE')
    this.inTransaction = true
    try {
      const result = work()
      this.flush()
      this.db.exec('COMMIT')
      return result
    } catch (err) {
      this.db.exec('ROLLBACK')
      this.counts.clear()
      this.appended.clear()
      this.changes.clear()
      throw err
    } finally {
      this.inTransaction = false
    }
  }

  meta(key: string): string | undefined {
    return this.get<{ value: string }>('SELECT value FROM meta WHERE key = ?', key)?.value
  }

  setMeta(key: string, value: string): void {
    this.run(
      'INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value',
      key,
      value,
    )
  }

  /** Adds to a counter; cheap inside a transaction, which writes the sum at its end. */
  count(name: string, by = 1): void {
    if (!this.inTransaction) return this.tx(() => this.count(name, by))
    this.counts.set(name, (this.counts.get(name) ?? 0) + by)
  }

  /** What a counter stands at, with what the running transaction has added. */
  counter(name: string): number {
    const stored = this.get<{ n: number }>('SELECT n FROM counter WHERE name = ?', name)?.n ?? 0
    return stored + (this.counts.get(name) ?? 0)
  }

  counters(): ReadonlyMap<string, number> {
    return new Map(
      this.all<{ name: string; n: number }>('SELECT name, n FROM counter ORDER BY name').map((r) => [r.name, r.n]),
    )
  }

  /** A row that nobody reads before the running transaction has ended; many are written at once. `into`: `table (columns)`. */
  append(into: string, row: Plain[]): void {
    if (!this.inTransaction) return this.insertAll(into, [row])
    const rows = this.appended.get(into)
    if (rows === undefined) this.appended.set(into, [row])
    else rows.push(row)
  }

  /**
   * A change that nobody reads before the running transaction has ended; many are made at once, after the appended rows
   * are there. `sql` takes a JSON array of such rows as its parameter, e.g. `UPDATE … FROM json_each(?) WHERE id = value ->> 0`.
   */
  change(sql: string, row: Plain[]): void {
    if (!this.inTransaction) return void this.run(sql, JSON.stringify([row]))
    const rows = this.changes.get(sql)
    if (rows === undefined) this.changes.set(sql, [row])
    else rows.push(row)
  }

  /** Writes many rows, thousands at once: they cross over as one JSON text. `into`: `table (columns)`. */
  insertAll(into: string, rows: readonly Plain[][]): void {
    const columns = (rows[0] ?? []).map((_, i) => `value ->> ${i}`).join(', ')
    for (let from = 0; from < rows.length; from += ROWS_PER_STATEMENT) {
      const some = JSON.stringify(rows.slice(from, from + ROWS_PER_STATEMENT))
      this.run(`INSERT INTO ${into} SELECT ${columns} FROM json_each(?)`, some)
    }
  }

  /** For statements without parameters or rows: schema changes. */
  exec(sql: string): void {
    this.db.exec(sql)
  }

  /** Writes what was counted, appended and changed so far. A transaction does it at its end. */
  flush(): void {
    for (const [into, rows] of this.appended) this.insertAll(into, rows)
    this.appended.clear()
    for (const [sql, rows] of this.changes) this.run(sql, JSON.stringify(rows))
    this.changes.clear()
    for (const [name, by] of this.counts) {
      this.run(
        'INSERT INTO counter (name, n) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET n = n + excluded.n',
        name,
        by,
      )
    }
    this.counts.clear()
  }

  get closed(): boolean {
    return !this.open
  }

  /** May be called twice. */
  close(): void {
    if (!this.open) return
    this.open = false
    this.statements.clear()
    this.lists.clear()
    this.db.close()
  }

  private prepare(sql: string): Database.Statement {
    let statement = this.statements.get(sql)
    if (statement === undefined) {
      statement = this.db.prepare(sql)
      this.statements.set(sql, statement)
    }
    return statement
  }
}
