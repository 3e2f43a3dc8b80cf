export { FileStore, type FileStoreOptions } from "./store/file.js";
