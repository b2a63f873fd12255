const examples = (...lines: readonly string[]): string =>
  `\nExamples:\n${lines.map((line) => `  $ ${line}`).join("\n")}\n`;

interface Examples {
  readonly program: string;
  readonly gateway: string;
  readonly pub: string;
  readonly sub: string;
  readonly keys: string;
  readonly deviceConfig: string;
  readonly decode: string;
  readonly check: string;
  readonly explain: string;
  readonly unknown: string;
  readonly name: string;
  readonly storeCheck: string;
  readonly storeExport: string;
  readonly passwd: string;
  readonly tokenNew: string;
  readonly accessExplain: string;
  readonly accessReload: string;
  readonly storeImport: string;
  readonly coapDiscover: string;
}

/** What `--help` shows below each command. */
export const EXAMPLES: Examples = {
  program: examples("nomq gateway", "nomq sub '#'", "nomq pub factory/line1/speed 42 --qos 1 --retain"),
  gateway: examples(
    "nomq gateway",
    "nomq gateway --config ./gateway.yaml",
    "nomq gateway --data ./second --port-offset 100",
  ),
  pub: examples(
    "nomq pub factory/line1/speed 42",
    "nomq pub cmd/valve open --qos 1 --ttl 60s --receipt",
    "gzip -c report.txt | nomq pub reports/today - --content-type application/gzip",
    "nomq pub factory/line1/speed 42 --nomq udp://192.168.1.7:8888 --key site.json",
  ),
  sub: examples(
    "nomq sub 'factory/#'",
    "nomq sub '+/temperature' --json --count 1",
    "nomq sub factory/line1/setpoint --nomq udp://192.168.1.2:8888 --key site.json",
  ),
  keys: examples("nomq keys new --id site --out site.json", "nomq keys new --id greenhouse"),
  deviceConfig: examples(
    "nomq device-config --out nomq_config.json",
    "nomq device-config --key site.json --port 9000 --out nomq_config.json --force",
    "nomq device-config --read nomq_config.json",
    "nomq device-config --read nomq_config.json --key site.json --json",
  ),
  decode: examples(
    "nomq decode 4e4d0101… --key data/keys/site.json",
    "xxd -p packet.bin | nomq decode - --json",
  ),
  explain: examples(
    "nomq explain nomq:qos2 mqtt",
    "nomq explain mqtt5:retain nomq:device",
    "nomq explain coap:non mqtt:retain",
    "nomq explain mqtt5:ttl xmpp",
    "nomq explain nomq mqtt --json",
  ),
  check: examples("nomq check gateway.yaml", "nomq check gateway.yaml --json"),
  unknown: examples("nomq unknown", "nomq unknown --json"),
  name: examples(
    "nomq name 870105394b02f6e2dba5a541dc0e779b greenhouse/temperature",
    "nomq name --list",
    "nomq name --forget greenhouse/temperature",
  ),
  storeCheck: examples("nomq store check", "nomq store check ./second --json"),
  passwd: examples("nomq passwd --user ann", "nomq passwd --user ann < ann.password"),
  tokenNew: examples(
    "nomq token new grafana --scope subscribe",
    "nomq token new deploy --scope publish admin --out deploy.token",
  ),
  accessExplain: examples(
    "nomq access explain user:ann publish cmd/valve",
    "nomq access explain nomq:site subscribe 'factory/#' --config ./gateway.yaml --json",
    "nomq access explain anonymous subscribe news --running",
  ),
  accessReload: examples("nomq access reload", "nomq access reload --data ./second --json"),
  storeExport: examples(
    "nomq store export > store.jsonl",
    "nomq store export ./second | grep retained",
    "nomq store export --salvage > rescued.jsonl",
  ),
  coapDiscover: examples(
    "nomq coap discover coap://10.0.0.9",
    "nomq coap discover 'coap://[fd00::9]:5683?rt=temperature' --json",
  ),
  storeImport: examples("nomq store import < store.jsonl", "nomq store import ./second < store.jsonl"),
};
