# Runs the Ruby gem stomp for the scenarios of drivers/scenarios.py, as drivers-node/main.mjs does with JavaScript's:
#
#     ruby main.rb ADAPTER URL VERSION OPTIONS
#
# The adapter is always `gem`, and there are no options. A thread for each connection takes what comes.

require "base64"
require "json"
require "stomp"
require "uri"

# In no version does it tell an escaped backslash in front of c, n or r from another escape.
ESCAPABLE = { "1.0" => ":", "1.1" => ":\n", "1.2" => ":\n\r" }.freeze
REAL_STDOUT = $stdout.dup.tap { |stdout| stdout.sync = true }
SPEAKING = Mutex.new
$stdout.reopen($stderr) # what the library prints

def say(object)
  SPEAKING.synchronize { REAL_STDOUT.puts(JSON.generate(object)) }
end

# The broker said no.
class Refused < StandardError; end

# One connection made by the library.
class Client
  def initialize(number, url, stomp)
    @number, @url, @stomp = number, URI(url), stomp
    @destinations, @messages = {}, []
  end

  def connect(login, passcode, heart_beat, headers)
    host = { login: login, passcode: passcode, host: @url.host, port: @url.port }
    versions = { "accept-version": @stomp, host: "/", "heart-beat": heart_beat.join(",") }
    @library = opened(host, (@stomp == "1.0" ? {} : versions).merge(headers.transform_keys(&:to_sym)))
    frame = @library.connection_frame
    raise Refused, frame.headers["message"] if frame.command == "ERROR"

    tell("connected", frame.headers)
    Thread.new { listen }
  end

  def opened(host, headers)
    Stomp::Connection.new(hosts: [host], reliable: false, connect_headers: headers, logger: Stomp::NullLogger.new)
  rescue RuntimeError => e # what the library itself refuses
    raise Refused, e.message
  end

  def subscribe(destination, id, ack, headers)
    @destinations[id] = destination
    @library.subscribe(destination, { ack: ack }.merge(headers), id) if @stomp != "1.0"
    @library.subscribe(destination, { ack: ack, id: id }.compact.merge(headers)) if @stomp == "1.0"
  end

  def unsubscribe(id, headers)
    @library.unsubscribe(@destinations.fetch(id), { id: id }.merge(headers))
  end

  def send(destination, body, headers)
    @library.publish(destination, Base64.decode64(body), headers)
  end

  def ack(key, headers)
    @library.ack(*culprit(key, headers))
  end

  def nack(key, headers)
    @library.nack(*culprit(key, headers))
  end

  def begin(transaction)
    @library.begin(transaction)
  end

  def commit(transaction)
    @library.commit(transaction)
  end

  def abort(transaction)
    @library.abort(transaction)
  end

  def leave
    @library.disconnect
  end

  def drop
    @library.instance_variable_get(:@socket)&.close
  end

  private

  # What names a message in this version: its id, and further headers.
  def culprit(key, headers)
    frame = @messages[key - 1].headers
    return frame["ack"], headers if @stomp == "1.2"

    [frame["message-id"], headers.merge(subscription: frame["subscription"]).compact]
  end

  def listen
    while (frame = @library.receive)
      heard(frame)
    end
  rescue IOError, Stomp::Error::NoCurrentConnection
    # It was closed while this thread waited for more.
  ensure
    tell("lost", 0, "")
  end

  def heard(frame)
    case frame.command
    when "MESSAGE"
      @messages << frame
      tell("message", frame.headers, Base64.strict_encode64(frame.body), @messages.size)
    when "RECEIPT"
      tell("receipt", frame.headers["receipt-id"], frame.headers)
    when "ERROR"
      tell("error", frame.headers, Base64.strict_encode64(frame.body))
    end
  end

  def tell(event, *values)
    say(client: @number, event: event, values: values)
  end
end

_, url, stomp = ARGV
clients = Hash.new { |known, number| known[number] = Client.new(number, url, stomp) }
say(hearsBeats: false, confirms: false, escapable: ESCAPABLE.fetch(stomp))
$stdin.each_line do |line|
  question = JSON.parse(line)
  begin
    clients[question["client"]].public_send(question["method"], *question["arguments"])
    say(answer: question["call"], value: nil)
  rescue Refused => e
    say(answer: question["call"], refused: e.message)
  rescue IOError # the connection has ended meanwhile, and its thread tells so
    say(answer: question["call"], value: nil)
  rescue StandardError => e
    say(answer: question["call"], error: e.full_message(highlight: false))
  end
end
