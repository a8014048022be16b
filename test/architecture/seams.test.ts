/**
 * Each third-party package is imported by one file of the shipped sources, its seam.
 *
 * Everything else speaks to the seam, so that replacing a package, bounding what it may do, or typing it correctly
 * happens in one place. Types alone may be imported elsewhere.
 */
import test from 'ava';
import { findImports } from './scan.ts';
import { packageNameOf, workspaceNameOf, workspaces } from './workspace.ts';

/** Not shipped: it runs other people's programs for tests and benchmarks, and has seams of its own. */
const SURROUNDINGS = 'nat-world';

test('one seam file per third-party package', (t) => {
  const importers = new Map<string, Set<string>>();
  for (const { name: workspace, sources } of workspaces) {
    for (const file of sources) {
      for (const { specifier, typeOnly } of findImports(file.text)) {
        const name = packageNameOf(specifier);
        if (name === undefined || workspaceNameOf(name) !== undefined || typeOnly) continue;
        const key = workspace === SURROUNDINGS ? `${name} in ${workspace}` : name;
        importers.set(key, (importers.get(key) ?? new Set()).add(file.path));
      }
    }
  }
  const offences = [...importers]
    .filter(([, files]) => files.size > 1)
    .map(([name, files]) => ({ name, files: [...files] }));
  t.deepEqual(offences, []);
});
