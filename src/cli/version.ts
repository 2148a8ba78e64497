/** Put in by the bundler from package.json. */
declare const TSBUILD_VERSION: string | undefined;

export const version: string = typeof TSBUILD_VERSION === 'string' ? TSBUILD_VERSION : '0.0.0-source';
