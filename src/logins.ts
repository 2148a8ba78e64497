import type { RegistryAccess, SessionOptions } from './api.ts';
import { registryOptions, uidOf } from './assembly.ts';
import { login as loginTo, logout as logoutFrom } from './registry/index.ts';

/** Checks the credentials with the registry, then keeps them. Returns the file that they were written to. */
export async function login(
  registry: string,
  credentials: { readonly username: string; readonly password: string },
  options: SessionOptions & RegistryAccess,
): Promise<string> {
  const { credentials: _, ...transport } = registryOptions(options, options);
  const files = { authfile: options.authfile, env: options.env, uid: uidOf(options.env) };
  const result = await loginTo({ registry, ...credentials }, { ...transport, files, signal: options.signal });
  return result.file;
}

/** Forgets the credentials. Returns the file that they were in. */
export async function logout(registry: string, options: SessionOptions & RegistryAccess): Promise<string> {
  const files = { authfile: options.authfile, env: options.env, uid: uidOf(options.env) };
  return (await logoutFrom(registry, files)).file;
}
