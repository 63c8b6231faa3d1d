package store

import (
	"context"
	"database/sql"

	"github.com/mattn/go-sqlite3"
)

// statements are prepared once on the writer's connection.
type statements struct {
	begin, commit, rollback                                        *sqlite3.SQLiteStmt
	insertTask, updateTask, job, attempt, output, file, key, event *sqlite3.SQLiteStmt
	secrets                                                        *sqlite3.SQLiteStmt
	device, removeDevice, token, revoke, invite, bar, audit, set   *sqlite3.SQLiteStmt
}

func (s *statements) all() map[**sqlite3.SQLiteStmt]string {
	return map[**sqlite3.SQLiteStmt]string{
		&s.begin:    `BEGIN IMMEDIATE`,
		&s.commit:   `COMMIT`,
		&s.rollback: `ROLLBACK`,
		&s.insertTask: `INSERT INTO tasks (id, job, type, name, priority, timeout, retries, payload, requirements, submitted,
			exclusive, at_most_once, backoff, retry_on, provision, state, attempt, device, reason, failures, losses, eligible, started, finished, exit_code, output)
			VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)`,
		&s.updateTask: `UPDATE tasks SET state=?, attempt=?, device=?, reason=?, failures=?, losses=?, eligible=?, started=?, finished=?,
			exit_code=?, output=? WHERE id=?`,
		&s.job: `INSERT INTO jobs (id, last, owner) VALUES (?,?,?) ON CONFLICT (id) DO UPDATE SET last=max(last, excluded.last)`,
		&s.attempt: `INSERT INTO attempts (task, number, lease, device, outcome, reason, leased, started, finished, exit_code, wall, cpu, memory, output, files)
			VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)
			ON CONFLICT (task, number) DO UPDATE SET outcome=excluded.outcome, reason=excluded.reason, started=excluded.started, finished=excluded.finished,
			exit_code=excluded.exit_code, wall=excluded.wall, cpu=excluded.cpu, memory=excluded.memory, output=excluded.output, files=excluded.files`,
		&s.output:  `INSERT OR IGNORE INTO output (task, attempt, position, stream, after, data) VALUES (?,?,?,?,?,?)`,
		&s.secrets: `INSERT INTO secrets (task, vars) VALUES (?,?)`,
		&s.file:    `INSERT OR IGNORE INTO files (sum, task) VALUES (?,?)`,
		&s.key:     `INSERT INTO keys (principal, key, idx, count, first, at) VALUES (?,?,?,?,?,?)`,
		&s.event: `INSERT INTO events (seq, at, kind, device, job, task, attempt, state, exit_code, count, output, reason)
			VALUES (?,?,?,?,?,?,?,?,?,?,?,?)`,
		&s.device: `INSERT INTO devices (id, fingerprint, profile, draining, drain_by, joined, seen, boot_count, address, completed, failed, standing, invite) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)
			ON CONFLICT (id) DO UPDATE SET fingerprint=excluded.fingerprint, profile=excluded.profile, draining=excluded.draining, drain_by=excluded.drain_by, seen=excluded.seen,
			boot_count=excluded.boot_count, address=excluded.address, completed=excluded.completed, failed=excluded.failed, standing=excluded.standing, invite=excluded.invite`,
		&s.removeDevice: `DELETE FROM devices WHERE id=?`,
		&s.token: `INSERT INTO tokens (id, role, name, hash, created, expires, kind, parent, owner, granted, used) VALUES (?,?,?,?,?,?,?,?,?,?,?)
			ON CONFLICT (id) DO UPDATE SET used=excluded.used`,
		&s.revoke: `DELETE FROM tokens WHERE id=?`,
		&s.invite: `INSERT INTO invites (id, hash, expires, uses, used_by) VALUES (?,?,?,?,?) ON CONFLICT (id) DO UPDATE SET uses=excluded.uses, used_by=excluded.used_by`,
		&s.bar:    `INSERT OR REPLACE INTO revoked (fingerprint, device, at) VALUES (?,?,?)`,
		&s.audit:  `INSERT INTO audit (seq, line, hash) VALUES (?,?,?)`,
		&s.set:    `INSERT INTO meta (key, value) VALUES (?,?) ON CONFLICT (key) DO UPDATE SET value=excluded.value`,
	}
}

func (s *statements) prepare(ctx context.Context, w *sql.DB) error {
	conn, err := w.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	return conn.Raw(func(c any) error {
		for at, text := range s.all() {
			prepared, err := c.(*sqlite3.SQLiteConn).Prepare(text)
			if err != nil {
				return err
			}
			*at = prepared.(*sqlite3.SQLiteStmt)
		}
		return nil
	})
}

func (s *statements) close() {
	for at := range s.all() {
		if *at != nil {
			(*at).Close()
		}
	}
}
