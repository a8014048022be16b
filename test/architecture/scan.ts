/**
 * Reads TypeScript sources just well enough to ask what a file imports and which names it uses.
 *
 * `maskSource` blanks comments and the insides of strings, templates and regular expressions, character for
 * character, so that offsets and line numbers stay right; `${…}` in a template stays code. It is no parser: it relies
 * on the formatter for the shape of the code, and a regular expression is told from a division by what stands before.
 */

/** One import or re-export, `require` or `import()` of a literal. */
export interface ImportSite {
  readonly specifier: string;
  readonly line: number;
  /** True for `import type` and `export type`, which leave nothing at run time. */
  readonly typeOnly: boolean;
  /** The text between `import` and `from`; empty for the other forms. */
  readonly clause: string;
}

const BEFORE_REGEX = /(?:^|[(,=:[!&|?{};+\-*%<>~^]|\b(?:return|typeof|case|in|of|do|else|void|delete|await|yield))\s*$/;
const blank = (text: string): string => text.replace(/[^\n]/g, ' ');

/** The source with everything that is not code blanked; quotes stay. */
export function maskSource(source: string): string {
  let out = '';
  let at = 0;
  /** Brace depth at which each open `${` ends. */
  const templates: number[] = [];
  let depth = 0;
  const copyUntil = (end: number, keep: boolean): void => {
    out += keep ? source.slice(at, end) : blank(source.slice(at, end));
    at = end;
  };
  const copyTemplate = (): void => {
    let end = at;
    while (end < source.length && source[end] !== '`' && !source.startsWith('${', end))
      end += source[end] === '\\' ? 2 : 1;
    copyUntil(Math.min(end, source.length), false);
    if (source[at] === '`') copyUntil(at + 1, true);
    else if (at < source.length) {
      templates.push(depth);
      depth += 1;
      copyUntil(at + 2, true);
    }
  };
  while (at < source.length) {
    const char = source[at] as string;
    if (source.startsWith('//', at) || (at === 0 && source.startsWith('#!'))) {
      const end = source.indexOf('\n', at);
      copyUntil(end < 0 ? source.length : end, false);
    } else if (source.startsWith('/*', at)) {
      const end = source.indexOf('*/', at + 2);
      copyUntil(end < 0 ? source.length : end + 2, false);
    } else if (char === "'" || char === '"') {
      let end = at + 1;
      while (end < source.length && source[end] !== char && source[end] !== '\n') end += source[end] === '\\' ? 2 : 1;
      copyUntil(at + 1, true);
      copyUntil(Math.min(end, source.length), false);
      copyUntil(Math.min(end + 1, source.length), true);
    } else if (char === '`') {
      copyUntil(at + 1, true);
      copyTemplate();
    } else if (char === '/' && BEFORE_REGEX.test(out.slice(-200))) {
      let end = at + 1;
      for (let inClass = false; end < source.length && source[end] !== '\n'; end += 1) {
        if (source[end] === '\\') end += 1;
        else if (source[end] === '[') inClass = true;
        else if (source[end] === ']') inClass = false;
        else if (source[end] === '/' && !inClass) break;
      }
      copyUntil(Math.min(end + 1, source.length), false);
    } else {
      if (char === '{') depth += 1;
      if (char === '}') depth -= 1;
      copyUntil(at + 1, true);
      if (char === '}' && templates.at(-1) === depth) {
        templates.pop();
        copyTemplate();
      }
    }
  }
  return out;
}

/** The 1-based line of an offset. */
export function lineOf(source: string, offset: number): number {
  return source.slice(0, offset).split('\n').length;
}

const STATEMENT = /(?<![\w$.])(import|export)\b(\s*(?:type\s+)?(?:[\w$*{][\w$\s,{}*]*?)\sfrom\s*|\s+)(['"])( *)\3/g;
const CALL = /(?<![\w$.])(?:import|require|createRequire\([^)]*\))\s*\(\s*(['"])( *)\1/g;

/** Every import of a file, in order. */
export function findImports(source: string): ImportSite[] {
  const masked = maskSource(source);
  const sites: (ImportSite & { offset: number })[] = [];
  const add = (match: RegExpExecArray, blanks: string, clause: string): void => {
    const end = match.index + match[0].length - 1;
    sites.push({
      specifier: source.slice(end - blanks.length, end),
      line: lineOf(source, match.index),
      typeOnly: /^\s*type\s/.test(clause),
      clause,
      offset: match.index,
    });
  };
  for (const match of masked.matchAll(STATEMENT)) add(match, match[4] as string, match[2] as string);
  for (const match of masked.matchAll(CALL)) add(match, match[2] as string, '');
  return sites.sort((a, b) => a.offset - b.offset).map(({ offset: _, ...site }) => site);
}

/** The lines on which `pattern` (global) matches code, not text. */
export function linesMatching(source: string, pattern: RegExp): number[] {
  const masked = maskSource(source);
  return [...masked.matchAll(pattern)].map((match) => lineOf(source, match.index));
}
