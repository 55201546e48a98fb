/** What autocannon talks to: `http-sink-main.ts PORT` answers every request with 512 bytes. */
import { createServer } from 'node:http'

const body = Buffer.alloc(512, 'x')
createServer((_request, response) => {
  response.writeHead(200, { 'content-length': body.length })
  response.end(body)
}).listen(Number(process.argv[2]), '127.0.0.1')
