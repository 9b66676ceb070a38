/**
 * Collects garbage at the sign of a test, and prints what is left: the heap of a process that has not been made to
 * collect says little. Plain JavaScript, because it is loaded into the built server.
 */
process.on('SIGUSR2', () => {
  globalThis.gc();
  // What a finalizer lets go of is only gone after the next one.
  setImmediate(() => {
    globalThis.gc();
    const { rss, heapUsed, external } = process.memoryUsage();
    const sockets = process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length;
    process.stdout.write(`${JSON.stringify({ left: { rss, heapUsed, external, sockets } })}\n`);
  });
});
