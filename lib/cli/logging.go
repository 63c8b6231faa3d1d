package cli

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/DeRuina/timberjack"
)

// Logging is embedded, without a name, by the commands that log. Run then may take a *slog.Logger or a *[Log].
type Logging struct {
	LogLevel   slog.Level `group:"Log" default:"info" placeholder:"LEVEL" reload:"yes" help:"debug, info, warn or error."`
	LogFormat  string     `group:"Log" default:"text" enum:"text,json" help:"Format of the log's lines."`
	LogFile    string     `group:"Log" placeholder:"FILE" help:"Log to a file, not to stderr."`
	LogMaxSize Bytes      `group:"Log" default:"10MiB" help:"Start a new log file at this size."`
	LogMaxAge  Duration   `group:"Log" default:"30d" help:"Remove old log files then; 0 never."`
	LogKeep    int        `group:"Log" default:"5" help:"How many old log files to keep; 0 all."`
}

// Log is an open log. Secrets in its lines are masked.
type Log struct {
	*slog.Logger
	level slog.LevelVar
	file  io.Closer // nil on stderr
}

// SetLevel changes the level from which on is logged, also for loggers derived before.
func (l *Log) SetLevel(level slog.Level) { l.level.Set(level) }

// Close closes the log's file, if it has one.
func (l *Log) Close() error {
	if l.file == nil {
		return nil
	}
	return l.file.Close()
}

// Logger opens the log: in the file if one is named, else on std.Err.
// Under systemd, where every line gets a time anyway, lines on stderr have none. [Exec] calls it; close what it returns.
func (l *Logging) Logger(std Std, env func(string) (string, bool)) (*Log, error) {
	log, out := &Log{}, std.Err
	log.level.Set(l.LogLevel)
	_, journal := env("JOURNAL_STREAM")
	options := &slog.HandlerOptions{Level: &log.level}
	if l.LogFile != "" {
		file, err := l.open()
		if err != nil {
			return nil, err
		}
		log.file, out = file, file
	} else if journal && !std.ErrTerminal() {
		options.ReplaceAttr = dropTime
	}
	if l.LogFormat == "json" {
		log.Logger = slog.New(slog.NewJSONHandler(masker{out}, options))
	} else {
		log.Logger = slog.New(slog.NewTextHandler(masker{out}, options))
	}
	return log, nil
}

func dropTime(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}

// open opens the log file now, so that a wrong name is an error at the start and not silence later.
func (l *Logging) open() (io.WriteCloser, error) {
	const mebibyte, day = Bytes(1 << 20), Duration(day)
	path, err := filepath.Abs(l.LogFile)
	if err != nil {
		return nil, Exit(BadConfig, fmt.Errorf("open log file: %w", err))
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
	if err != nil {
		return nil, Exit(BadConfig, fmt.Errorf("open log file: %w", err))
	}
	f.Close()
	return &timberjack.Logger{
		Filename:   path,
		MaxSize:    max(1, int((l.LogMaxSize+mebibyte-1)/mebibyte)),
		MaxAge:     int((l.LogMaxAge + day - 1) / day),
		MaxBackups: max(0, l.LogKeep),
	}, nil
}
