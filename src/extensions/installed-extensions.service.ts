import { Inject, Injectable, Logger, type OnApplicationBootstrap } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import type { Repository } from 'typeorm';
import { UnitOfWork } from '../database/unit-of-work.js';
import type { Extension } from './extension.js';
import { InstalledExtension } from './installed-extension.entity.js';

/** Injection token of the extensions that this process runs. */
export const EXTENSIONS = Symbol('extensions');

/** Keeps a record of the extensions, so that one that was taken out is not forgotten in silence. */
@Injectable()
export class InstalledExtensions implements OnApplicationBootstrap {
  private readonly logger = new Logger('Extensions');

  constructor(
    @Inject(EXTENSIONS) private readonly extensions: readonly Extension[],
    @InjectRepository(InstalledExtension) private readonly records: Repository<InstalledExtension>,
    private readonly unitOfWork: UnitOfWork,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    const known = new Map((await this.records.find()).map((record) => [record.name, record]));
    for (const { name, version } of this.extensions) {
      const before = known.get(name);
      known.delete(name);
      this.logger.log({ msg: `extension "${name}" ${version}`, extension: name, version, before: before?.version });
      if (before?.version === version) continue;
      const installedAt = before?.installedAt ?? Date.now();
      await this.unitOfWork.run((tx) => tx.upsert(InstalledExtension, { name, version, installedAt }, ['name']));
    }
    for (const { name, version } of known.values()) {
      const msg = `the extension "${name}" ${version} was taken out: its tables and what it wrote stay as they are`;
      this.logger.warn({ msg, extension: name, version });
    }
  }
}
