/** The part of cli-progress that progress.ts uses; the package comes without types. */
declare module 'cli-progress' {
  export class SingleBar {
    constructor(options: {
      format: string;
      stream: NodeJS.WriteStream;
      hideCursor: boolean;
      clearOnComplete: boolean;
      barsize: number;
    });
    start(total: number, value: number, payload: Record<string, string>): void;
    update(value: number, payload: Record<string, string>): void;
    setTotal(total: number): void;
    stop(): void;
  }
}
