import { Injectable, Logger, type OnApplicationBootstrap } from '@nestjs/common';
import { AppError } from '../common/app-error.js';
import { Config } from '../config/config.js';
import { UnitOfWork } from '../database/unit-of-work.js';
import { UsersService } from './users.service.js';

/** Makes the first admin from `ADMIN_EMAIL` and `ADMIN_PASSWORD` at start, while no admin exists. */
@Injectable()
export class FirstAdmin implements OnApplicationBootstrap {
  private readonly logger = new Logger(FirstAdmin.name);

  constructor(
    private readonly config: Config,
    private readonly users: UsersService,
    private readonly unitOfWork: UnitOfWork,
  ) {}

  /** @throws AppError when the password breaks the policy or the address is an ordinary account's: the start stops. */
  async onApplicationBootstrap(): Promise<void> {
    if (await this.users.hasRole('admin')) return;
    const { ADMIN_EMAIL, ADMIN_PASSWORD } = this.config;
    if (!ADMIN_EMAIL || !ADMIN_PASSWORD) {
      this.logger.warn(
        'there is no admin yet: set ADMIN_EMAIL and ADMIN_PASSWORD and start again to make the first one',
      );
      return;
    }
    const passwordHash = await this.users.hashNew(ADMIN_PASSWORD, ADMIN_EMAIL);
    await this.unitOfWork.run(async () => {
      await this.unitOfWork.lock('admins');
      // An instance that started at the same time was first.
      if (await this.users.hasRole('admin')) return;
      if (await this.users.find({ email: ADMIN_EMAIL })) {
        // Made an admin, it would keep the password of whoever registered the address.
        throw new AppError('CONFLICT', `ADMIN_EMAIL is the address of an ordinary account: choose another one`);
      }
      await this.users.insert(ADMIN_EMAIL, passwordHash, 'admin');
      this.unitOfWork.afterCommit(() => this.logger.log('made the first admin, of ADMIN_EMAIL'));
    });
  }
}
