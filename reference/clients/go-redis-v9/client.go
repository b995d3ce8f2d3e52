// A client on go-redis 9 with its default options. Its words and lines are told in src/reference/libraries.rs.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

var (
	out   *os.File
	write sync.Mutex
)

type line struct {
	At        int64  `json:"at"`
	Op        string `json:"op"`
	Seq       int64  `json:"seq,omitempty"`
	Outcome   string `json:"outcome,omitempty"`
	Us        *int64 `json:"us,omitempty"`
	Receivers *int64 `json:"receivers,omitempty"`
}

func note(l line) {
	text, _ := json.Marshal(l)
	write.Lock()
	defer write.Unlock()
	out.Write(append(text, '\n'))
}

// The library wraps what happened; dials and reads are told apart by the operation in the error.
func outcome(err error) string {
	if err == nil || errors.Is(err, redis.Nil) {
		return "ok"
	}
	text := err.Error()
	var reply redis.Error
	if errors.As(err, &reply) && !strings.HasPrefix(text, "redis:") {
		return strings.ToLower(strings.Split(text, " ")[0])
	}
	step := "reply-"
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" || strings.Contains(text, "dial") {
		step = "connect-"
	}
	var slow net.Error
	switch {
	case strings.Contains(text, "sentinels"):
		return "no-master"
	case strings.Contains(text, "pool timeout"):
		return "pool-timeout"
	case strings.Contains(text, "refused"):
		return "connect-refused"
	case strings.Contains(text, "no route") || strings.Contains(text, "unreachable"):
		return "connect-unreachable"
	case errors.As(err, &slow) && slow.Timeout(), errors.Is(err, context.DeadlineExceeded):
		return step + "timeout"
	}
	return step + "closed"
}

func main() {
	if len(os.Args) == 2 && os.Args[1] == "--version" {
		fmt.Println(redis.Version())
		return
	}
	kind, way, addresses, master, file, channel, keys := os.Args[1], os.Args[2], strings.Split(os.Args[3], ","), os.Args[4], os.Args[5], os.Args[6], os.Args[7]
	everyUs, _ := strconv.ParseInt(os.Args[8], 10, 64)
	seq, _ := strconv.ParseInt(os.Args[9], 10, 64)
	every := time.Duration(everyUs) * time.Microsecond
	out, _ = os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	ctx := context.Background()
	var client *redis.Client
	if way == "sentinels" {
		client = redis.NewFailoverClient(&redis.FailoverOptions{MasterName: master, SentinelAddrs: addresses})
	} else {
		client = redis.NewClient(&redis.Options{Addr: addresses[0]})
	}
	if kind == "subscribe" {
		for event := range client.Subscribe(ctx, channel).ChannelWithSubscriptions() {
			now := time.Now().UnixMicro()
			switch event := event.(type) {
			case *redis.Subscription:
				note(line{At: now, Op: "connect", Outcome: "open"})
			case *redis.Message:
				seq, _ := strconv.ParseInt(strings.Split(event.Payload, " ")[0], 10, 64)
				note(line{At: now, Op: "receive", Seq: seq})
			}
		}
	}
	due := time.Now()
	for ; ; seq++ {
		began := time.Now()
		l := line{At: began.UnixMicro(), Op: kind, Seq: seq}
		var err error
		switch kind {
		case "publish":
			var count int64
			if count, err = client.Publish(ctx, channel, seq).Result(); err == nil {
				l.Receivers = &count
			}
		case "set":
			err = client.Set(ctx, keys+strconv.FormatInt(seq, 10), seq, 0).Err()
		default:
			err = client.Get(ctx, keys+strconv.FormatInt(seq, 10)).Err()
		}
		us := time.Since(began).Microseconds()
		l.Us, l.Outcome = &us, outcome(err)
		note(l)
		due = due.Add(every)
		if left := time.Until(due); left > 0 {
			time.Sleep(left)
		} else {
			due = time.Now()
		}
	}
}
