// What the command's exit status says. The README and `ultramem --help` show this table.

export const exitCodes = {
  0: 'done',
  1: 'the model, a file, the machine or a comparison is at fault; the message says which and what to do',
  2: 'the command line is not understood',
  70: 'a bug in ultramem',
  130: 'interrupted',
} as const;

export type ExitCode = keyof typeof exitCodes;
