/** HTTP/2 before a server that has only HTTP/1.1: browsers then hold any number of streams over one connection. */

import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { request } from "node:http";
import { createSecureServer, type Http2SecureServer } from "node:http2";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A header that belongs to one connection, or to HTTP/2 itself, is not passed on. */
const isOwn = (name: string) =>
  name.startsWith(":") || ["connection", "host", "keep-alive", "transfer-encoding"].includes(name);

export class Http2Proxy {
  private constructor(
    readonly url: string,
    readonly server: Http2SecureServer,
  ) {}

  /** Start a proxy on a free port of loopback, with a certificate that nobody has signed. */
  static start(target: string): Promise<Http2Proxy> {
    const settings = { maxConcurrentStreams: 1000 };
    const server = createSecureServer({ ...certificate(), allowHTTP1: false, settings });
    server.on("stream", (stream, headers) => {
      const kept = Object.fromEntries(Object.entries(headers).filter(([name]) => !isOwn(name)));
      const onward = request(new URL(String(headers[":path"]), target), {
        method: String(headers[":method"]),
        headers: kept as { [name: string]: string },
      });
      onward.on("response", (response) => {
        if (stream.destroyed) return response.destroy();
        const own = Object.entries(response.headers).filter(([name]) => !isOwn(name));
        stream.respond({ ":status": response.statusCode, ...Object.fromEntries(own) });
        response.pipe(stream);
      });
      onward.on("error", () => stream.destroy());
      stream.on("error", () => onward.destroy());
      stream.on("close", () => onward.destroy());
      stream.pipe(onward);
    });
    return new Promise((resolve) =>
      server.listen(0, "127.0.0.1", () => {
        const address = server.address();
        const port = typeof address === "object" && address ? address.port : 0;
        resolve(new Http2Proxy(`https://127.0.0.1:${port}`, server));
      }),
    );
  }

  stop(): void {
    this.server.close();
  }
}

function certificate(): { key: Buffer; cert: Buffer } {
  const folder = mkdtempSync(join(tmpdir(), "graphwire-certificate-"));
  const [key, cert] = [join(folder, "key.pem"), join(folder, "cert.pem")];
  const subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"];
  const more = ["-newkey", "rsa:2048", "-nodes", "-days", "2", ...subject];
  execFileSync("openssl", ["req", "-x509", ...more, "-keyout", key, "-out", cert], { stdio: "ignore" });
  const made = { key: readFileSync(key), cert: readFileSync(cert) };
  rmSync(folder, { recursive: true });
  return made;
}
