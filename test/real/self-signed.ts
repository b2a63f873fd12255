import { execFileSync } from "node:child_process";

/** Writes a certificate of that name and of all below it, which signs itself, and its key, PEM. */
export function writeSelfSigned(
  name: string,
  { key, certificate }: { readonly key: string; readonly certificate: string },
): void {
  const kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30"];
  const names = ["-addext", `subjectAltName=DNS:${name},DNS:*.${name}`];
  const authority = ["-addext", "basicConstraints=critical,CA:TRUE"];
  const files = ["-keyout", key, "-out", certificate];
  execFileSync(
    "openssl",
    ["req", "-x509", ...kind, "-subj", `/CN=${name}`, ...names, ...authority, ...files],
    {
      stdio: "ignore",
    },
  );
}
