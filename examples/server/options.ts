// The command line.

import { Command, InvalidArgumentError, Option } from 'commander';
import type { Precision, TableType } from 'ultramem/compile';
import type { OpenOptions } from 'ultramem/open';

export interface Options {
  readonly model: string;
  readonly weights: string;
  readonly config?: string;
  readonly target: OpenOptions['target'];
  readonly precision?: Precision;
  readonly tables?: TableType;
  readonly tokenizer?: string;
  readonly threads?: number;
  readonly host: string;
  readonly port: number;
  readonly name?: string;
  readonly maxSequences: number;
  readonly maxWaiting: number;
  readonly maxTokens?: number;
  readonly maxBody: number;
  readonly timeout: number;
  readonly grace: number;
  readonly log: string;
}

const examples = `
Routes:
  POST /v1/completions, POST /v1/chat/completions, GET /v1/models, GET /health, GET /metrics

SIGTERM or SIGINT lets requests finish for --grace seconds; a second one ends the server at once.

Examples:
  $ npx tsx examples/server/main.ts --model examples/bytes-lm/model.ts --weights examples/bytes-lm/ultramem-bytes.safetensors
  $ curl -s localhost:8080/v1/completions -H 'content-type: application/json' -d '{"prompt": "In the beginning", "max_tokens": 64}'`;

/** Reads the command line; prints help or what is wrong with it, and exits. */
export function readOptions(argv: readonly string[]): Options {
  return new Command('main.ts')
    .description(
      "Serves a language model that ultramem compiles, over HTTP, with the interface of OpenAI's completions.",
    )
    .requiredOption('--model <file>', 'TypeScript file of the model')
    .requiredOption('--weights <path>', 'safetensors file, index of shards, or folder')
    .option('--config <file>', 'JSON handed to the model file when its default export is a function')
    .addOption(
      new Option('--target <target>', 'what runs the model')
        .choices(['auto', 'cpu', 'cuda', 'simt', 'interpreter'])
        .default('cpu'),
    )
    .addOption(new Option('--precision <type>', 'how floats are stored (default: f32)').choices(['f32', 'bf16']))
    .addOption(
      new Option('--tables <type>', 'how tables are stored (default: by --precision)').choices(['int8', 'fp8']),
    )
    .option('--tokenizer <path>', 'tokenizer.json or its folder, for models that do not read bytes')
    .addOption(number('--threads <n>', 'threads per step (default: one per core)', 1, 1024))
    .option('--host <address>', 'address to listen on; any but a loopback address is open to others', '127.0.0.1')
    .addOption(number('--port <n>', 'port to listen on; 0 takes a free one', 0, 65535).default(8080))
    .option('--name <name>', "what requests call the model (default: the model's own name)")
    .addOption(number('--max-sequences <n>', 'generations that run at once', 1, 4096).default(4))
    .addOption(number('--max-waiting <n>', 'generations that wait for a turn; more are refused with 429').default(64))
    .addOption(number('--max-tokens <n>', 'most tokens a request may ask for (default: the context)', 1))
    .addOption(number('--max-body <bytes>', 'size of a request at most', 1024, 2 ** 30).default(2 ** 20))
    .addOption(number('--timeout <s>', 'seconds a request may take, waiting included', 1, 86400).default(120))
    .addOption(number('--grace <s>', 'seconds that requests may go on after SIGTERM', 0, 86400).default(20))
    .addOption(
      new Option('--log <level>', 'what to log on stderr, as JSON lines; prompts and answers never are')
        .choices(['silent', 'error', 'warn', 'info', 'debug'])
        .default('info'),
    )
    .addHelpText('after', examples)
    .parse(argv)
    .opts<Options>();
}

function number(flags: string, description: string, least = 0, most = Number.MAX_SAFE_INTEGER): Option {
  return new Option(flags, description).argParser((text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= least && value <= most) return value;
    const range = most === Number.MAX_SAFE_INTEGER ? `from ${least}` : `from ${least} to ${most}`;
    throw new InvalidArgumentError(`Wanted a whole number ${range}.`);
  });
}
