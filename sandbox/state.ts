import Database from 'libsql'
import { ConfigError, messageOf } from '../src/errors.js'

type Value = string | number | Buffer | null

const SCHEMA_VERSION = 2
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
CREATE TABLE message (
  seq INTEGER PRIMARY KEY, message_id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, msgid TEXT NOT NULL, user_id TEXT NOT NULL,
  external_user_id TEXT NOT NULL, content_hash TEXT NOT NULL, text TEXT NOT NULL, link TEXT, sent_ms INTEGER NOT NULL,
  created_ms INTEGER NOT NULL, read_ms INTEGER, replied_ms INTEGER, reply TEXT);
CREATE TABLE app_message (
  msgid TEXT PRIMARY KEY, secret TEXT NOT NULL, created_ms INTEGER NOT NULL, request_hash TEXT NOT NULL, reply TEXT NOT NULL,
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
  used INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;
CREATE TABLE media (
  media_id TEXT PRIMARY KEY, type TEXT NOT NULL, file_name TEXT NOT NULL, content BLOB NOT NULL, created_ms INTEGER NOT NULL,
  scene TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE object (
  kind TEXT NOT NULL, id TEXT NOT NULL, seq INTEGER NOT NULL, body TEXT NOT NULL, PRIMARY KEY (kind, id)) WITHOUT ROWID;
CREATE UNIQUE INDEX object_order ON object (kind, seq);
CREATE TABLE outbox (
  seq INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, body TEXT NOT NULL, state TEXT NOT NULL DEFAULT 'waiting');
CREATE INDEX outbox_state ON outbox (state, seq);
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

  /** @throws {ConfigError} when the file is unusable or was written by another version. */
  constructor(readonly file: string) {
    try {
      this.db = new Database(file)
      this.db.exec(
        'PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA busy_timeout = 2000; PRAGMA foreign_keys = OFF',
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
      this.db.exec('COMMIT')
      return result
    } catch (err) {
      this.db.exec('ROLLBACK')
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

  count(name: string, by = 1): void {
    this.run(
      'INSERT INTO counter (name, n) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET n = n + excluded.n',
      name,
      by,
    )
  }

  counters(): ReadonlyMap<string, number> {
    return new Map(
      this.all<{ name: string; n: number }>('SELECT name, n FROM counter ORDER BY name').map((r) => [r.name, r.n]),
    )
  }

  get closed(): boolean {
    return !this.open
  }

  /** May be called twice. */
  close(): void {
    if (!this.open) return
    this.open = false
    this.statements.clear()
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
