import { connect, createServer, type Server as Listener, type Socket } from "node:net";

/** The network between one browser and the server. It can be cut for this browser only. */
export class Wire {
  private readonly sockets = new Set<Socket>();
  private readonly listener: Listener;
  private whole = true;

  private constructor(private readonly to: number) {
    this.listener = createServer((near) => {
      this.keep(near);
      if (!this.whole) {
        near.destroy();
        return;
      }
      const far = connect(this.to, "127.0.0.1");
      this.keep(far);
      near.pipe(far).pipe(near);
      near.once("close", () => far.destroy());
      far.once("close", () => near.destroy());
    });
  }

  static async to(url: string): Promise<Wire> {
    const wire = new Wire(Number(new URL(url).port));
    await new Promise<void>((resolve, reject) => wire.listener.once("error", reject).listen(0, "127.0.0.1", resolve));
    return wire;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.listener.address() as { port: number }).port}`;
  }

  /** Closes all connections, and lets no new one through. */
  cut(): void {
    this.whole = false;
    for (const socket of this.sockets) socket.destroy();
  }

  mend(): void {
    this.whole = true;
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.listener.close(resolve));
    this.cut();
    await closed;
  }

  private keep(socket: Socket): void {
    this.sockets.add(socket);
    socket.on("error", () => undefined);
    socket.once("close", () => this.sockets.delete(socket));
  }
}
