# A client on redis-rb with its default options. Its words and lines are told in src/reference/libraries.rs.
require "json"
require "redis"

if ARGV == ["--version"]
  puts Redis::VERSION
  exit
end
KIND, way, addresses, master, out, CHANNEL, KEYS, every_us, first = ARGV
addresses = addresses.split(",").map { |address| address.split(":").then { |host, port| { host: host, port: port.to_i } } }
LOG = File.open(out, "a").tap { |file| file.sync = true }

def wall = Process.clock_gettime(Process::CLOCK_REALTIME, :microsecond)
def mono = Process.clock_gettime(Process::CLOCK_MONOTONIC, :microsecond)
def note(op, at = wall, **rest) = LOG.write({ at: at, op: op, **rest }.to_json + "\n")

# The library tells causes apart by its texts.
def cause(error)
  case error.message
  when /timed out|Timeout|ETIMEDOUT/i then "timeout"
  when /ECONNREFUSED|refused/ then "refused"
  when /UNREACH|No route/i then "unreachable"
  else "closed"
  end
end

def outcome(error)
  case error
  when Redis::CommandError then error.message.split(" ").first.downcase
  when Redis::TimeoutError then "reply-timeout"
  when Redis::CannotConnectError
    error.message.start_with?("No sentinels") ? "no-master" : "connect-#{cause(error)}"
  else
    next_to_role = error.message.include?("role mismatch") || error.backtrace.to_a.any? { |place| place.include?("`check'") }
    next_to_role ? "no-master" : "reply-closed"
  end
end

redis = if way == "sentinels"
  Redis.new(host: master, sentinels: addresses, role: :master)
else
  Redis.new(**addresses.first)
end

while KIND == "subscribe"
  begin
    redis.subscribe(CHANNEL) do |on|
      on.subscribe { note("connect", outcome: "open") }
      on.message { |_, message| note("receive", seq: message.to_i) }
    end
  rescue Redis::BaseError => error
    note("connect", outcome: outcome(error).sub("reply-", "read-"))
    sleep 0.1
  end
end

seq, due = first.to_i, mono
loop do
  at, began, rest = wall, mono, {}
  begin
    case KIND
    when "publish" then rest[:receivers] = redis.publish(CHANNEL, seq)
    when "set" then redis.set("#{KEYS}#{seq}", seq)
    else redis.get("#{KEYS}#{seq}")
    end
    ended = "ok"
  rescue Redis::BaseError => error
    ended = outcome(error)
  end
  note(KIND, at, seq: seq, outcome: ended, us: mono - began, **rest)
  seq += 1
  due += every_us.to_i
  left = due - mono
  left.positive? ? sleep(left / 1e6) : due = mono
end
