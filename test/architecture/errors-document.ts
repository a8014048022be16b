/**
 * Renders docs/ERRORS.md from the table of error codes in core.
 *
 *   pnpm errors        writes the file
 *
 * The table is the source; a test holds the file equal to it.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { ERROR_CODES } from '@diskswarm/core';
import { repositoryRoot } from './workspace.ts';

/** Where the document lives, for people. */
export const errorsDocumentPath = path.join(repositoryRoot, 'docs', 'ERRORS.md');

/** The whole document. */
export function renderErrorsDocument(): string {
  const rows = Object.entries<string>(ERROR_CODES).map(
    ([code, text]) => `| \`${code}\` | ${text.replaceAll('|', '\\|')} |`,
  );
  return `# Errors

Generated from \`packages/core/src/error-codes.ts\` by \`pnpm errors\`; edit the table there.

With \`--json\` a command that fails prints one document on stdout, \`{"error":{"code","message","data"}}\`, and its exit
code says what kind of failure it was: 1, it was tried and failed; 2, it was asked for wrongly. Scripts branch on \`code\`.
Codes are stable: they are added, never renamed or used for something else. \`message\` is for people and may change,
\`data\` depends on the code and only gains fields.

| code | meaning, and what to do |
| --- | --- |
${rows.join('\n')}
`;
}

if (import.meta.main) {
  writeFileSync(errorsDocumentPath, renderErrorsDocument());
}

/** The document as it is in the repository. */
export function readErrorsDocument(): string {
  return readFileSync(errorsDocumentPath, 'utf8');
}
