/** The plainest relay there is in Node: `node-pipe-main.ts PORT HOST:PORT`. A contestant of the bench. */
import { connect, createServer } from 'node:net'

const [port, target] = process.argv.slice(2)
const [host, targetPort] = (target ?? '').split(':')

createServer({ noDelay: true }, (socket) => {
  const onward = connect({ host: host ?? '127.0.0.1', port: Number(targetPort), noDelay: true })
  for (const end of [socket, onward]) end.on('error', () => end.destroy())
  socket.pipe(onward)
  onward.pipe(socket)
}).listen(Number(port), '127.0.0.1')
