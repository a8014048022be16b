/**
 * The page that Prometheus scrapes: /metrics, and nothing else but /healthz.
 *
 * There is no token: who may read it is who can reach the address, which is nobody unless the operator names one. Scrapes at the
 * same time share one page.
 */
import type { Address } from '@diskswarm/core';
import { METRICS_CONTENT_TYPE } from '@diskswarm/metrics';
import { answer, type HttpServer, pathOf, serveHttp } from '../http/http-server.ts';

/** Starts it; ADDRESS_UNAVAILABLE when it cannot listen there. */
export function serveMetrics(options: {
  readonly listen: Address;
  readonly page: () => Promise<string>;
  readonly onDefect: (error: unknown) => void;
}): Promise<HttpServer> {
  let making: Promise<string> | null = null;
  const page = (): Promise<string> => {
    making ??= options.page().finally(() => {
      making = null;
    });
    return making;
  };
  return serveHttp({
    listen: options.listen,
    onDefect: options.onDefect,
    onRequest: async (request, response) => {
      const path = pathOf(request);
      if (request.method !== 'GET' && request.method !== 'HEAD')
        answer(response, 405, 'text/plain', 'only GET is served\n', { Allow: 'GET, HEAD' });
      else if (path === '/metrics') answer(response, 200, METRICS_CONTENT_TYPE, await page());
      else if (path === '/healthz') answer(response, 200, 'text/plain', 'ok\n');
      else answer(response, 404, 'text/plain', 'here are /metrics and /healthz\n');
    },
  });
}
