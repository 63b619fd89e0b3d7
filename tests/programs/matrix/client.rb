# Makes the calls of a job by Ruby's Net::HTTP: a thread a connection.
#
# usage: client.rb PORT JOB     (JOB: a connection a line, see mixed/plan.rs)

require 'base64'
require 'json'
require 'net/http'

Thread.abort_on_exception = true

def make(http, call)
  body = call['body'].map { |piece| Base64.decode64(piece) }.join
  request = Net::HTTPGenericRequest.new(call['method'], true, true, call['path'])
  # Without it Net::HTTP decodes by itself.
  request['accept-encoding'] = 'identity'
  call['headers'].each { |name, value| request[name] = value }
  request['x-plan'] = JSON.generate(call['plan'])
  request.body = body
  http.request(request) do |response|
    raise "#{call['plan']['id']}: #{response.code}" if response.code.to_i != call['plan']['status']

    response.read_body { |_| nil }
  end
end

port, job = ARGV
threads = File.readlines(job).map do |line|
  connection = JSON.parse(line)
  Thread.new do
    Net::HTTP.start('localhost', port.to_i, use_ssl: true) do |http|
      connection['calls'].each { |call| make(http, call) }
    end
  end
end
threads.each(&:join)
